// Memory that one training step leaves to the next.
#pragma once
#include <stdlib.h>

#include <cstddef>
#include <mutex>
#include <new>
#include <vector>

#include "core/cpu/huge_pages.h"

namespace resblock {

// What training keeps is large, and as large in every step. The operating system hands out fresh pages filled with
// zeros, which takes as long as a third of the step; so a block that is given back waits for the next step that wants
// it. At most `limit` bytes wait: RESBLOCK_KEPT_MEMORY says how many MiB, 256 without it, 0 for none.
class KeptMemory {
 public:
  // Never destroyed: a tensor may outlive everything else.
  static KeptMemory& instance() {
    static KeptMemory* const kept = new KeptMemory;
    return *kept;
  }

  struct Block {
    void* data;
    size_t bytes;
  };

  // Uninitialised, at a multiple of a huge page; throws std::bad_alloc.
  Block take(size_t bytes) {
    if (Block found; take_waiting(bytes, found)) return found;
    void* data = operator new(bytes, alignment);
    cpu::ask_for_huge_pages(data, bytes);
    return {data, bytes};
  }

  void give_back(Block block) {
    std::vector<Block> surplus = {block};
    {
      const std::lock_guard<std::mutex> lock(mutex);
      if (block.bytes <= limit) {
        surplus.clear();
        waiting.push_back(block);
        waiting_bytes += block.bytes;
        while (waiting_bytes > limit) surplus.push_back(remove(0));  // the one that has waited longest
      }
    }
    for (const Block& one : surplus) operator delete(one.data, alignment);
  }

 private:
  static constexpr std::align_val_t alignment{cpu::huge_page};
  const size_t limit = wanted_limit();
  std::mutex mutex;
  std::vector<Block> waiting;  // the longest first
  size_t waiting_bytes = 0;

  static size_t wanted_limit() {
    const char* mebibytes = getenv("RESBLOCK_KEPT_MEMORY");
    return (mebibytes ? strtoull(mebibytes, nullptr, 10) : 256) << 20;
  }

  Block remove(size_t index) {
    const Block block = waiting[index];
    waiting.erase(waiting.begin() + ptrdiff_t(index));
    waiting_bytes -= block.bytes;
    return block;
  }

  // The smallest that is large enough, if not more than a quarter of it would lie idle.
  bool take_waiting(size_t bytes, Block& found) {
    const std::lock_guard<std::mutex> lock(mutex);
    size_t best = waiting.size();
    for (size_t k = 0; k < waiting.size(); ++k)
      if (waiting[k].bytes >= bytes && waiting[k].bytes / 4 <= bytes / 3 &&
          (best == waiting.size() || waiting[k].bytes < waiting[best].bytes))
        best = k;
    if (best == waiting.size()) return false;
    found = remove(best);
    return true;
  }
};

}  // namespace resblock
