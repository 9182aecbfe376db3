// Memory that one call leaves to the next.
#pragma once
#include <stddef.h>
#include <stdlib.h>

#include <mutex>
#include <new>
#include <vector>

#include "core/cpu/arena.h"
#include "core/cpu/huge_pages.h"

namespace resblock::cpu {

// Results, workspaces and saved activations are large, and as large in every call. The operating system hands out
// fresh pages filled with zeros, which takes up to a third of the call's time; so a block that is given back waits for
// the next call that wants it.
class BlockCache {
 public:
  // At most `limit` bytes wait.
  explicit BlockCache(size_t limit) : limit(limit) {}
  ~BlockCache() { release(waiting); }
  BlockCache(const BlockCache&) = delete;
  BlockCache& operator=(const BlockCache&) = delete;

  struct Block {
    void* data;
    size_t bytes;
  };

  // At least as large as asked for, uninitialised, at a multiple of a huge page. Throws std::bad_alloc.
  Block take(size_t bytes) {
    if (Block found; take_waiting(bytes, found)) return found;
    void* data = operator new(bytes, alignment);
    ask_for_huge_pages(data, bytes);
    return {data, bytes};
  }

  // Those that have waited longest make room, but not for a block that is larger than all that may wait.
  void give_back(Block block) {
    if (block.bytes > limit) return release({block});
    std::vector<Block> surplus;
    {
      const std::lock_guard<std::mutex> lock(mutex);
      waiting.push_back(block);
      waiting_bytes += block.bytes;
      while (waiting_bytes > limit) surplus.push_back(remove(0));
    }
    release(surplus);
  }

 private:
  static constexpr std::align_val_t alignment{huge_page};
  const size_t limit;
  std::mutex mutex;
  std::vector<Block> waiting;  // the longest first
  size_t waiting_bytes = 0;

  static void release(const std::vector<Block>& blocks) {
    for (const Block& block : blocks) operator delete(block.data, alignment);
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
    for (size_t k = 0; k < waiting.size(); ++k) {
      const size_t idle = waiting[k].bytes - bytes;
      if (waiting[k].bytes >= bytes && idle <= waiting[k].bytes / 4 &&
          (best == waiting.size() || waiting[k].bytes < waiting[best].bytes))
        best = k;
    }
    if (best == waiting.size()) return false;
    found = remove(best);
    return true;
  }
};

// RESBLOCK_BLOCK_CACHE says how many MiB may wait, 1024 without it. Never destroyed: a tensor may outlive all else.
inline BlockCache& block_cache() {
  static auto* const cache = [] {
    const char* mebibytes = getenv("RESBLOCK_BLOCK_CACHE");
    return new BlockCache(size_t(mebibytes ? strtoull(mebibytes, nullptr, 10) : 1024) << 20);
  }();
  return *cache;
}

// Uninitialised memory for as long as it lives, from the beginning of a cache line on. Throws std::bad_alloc.
class Workspace {
 public:
  explicit Workspace(int64_t bytes)
      : is_large(wants_huge_pages(size_t(bytes))),
        block(is_large ? block_cache().take(size_t(bytes))
                       : BlockCache::Block{operator new(size_t(bytes), line), size_t(bytes)}) {}
  ~Workspace() {
    if (is_large)
      block_cache().give_back(block);
    else
      operator delete(block.data, line);
  }
  Workspace(const Workspace&) = delete;
  Workspace& operator=(const Workspace&) = delete;

  void* data() const { return block.data; }

 private:
  static constexpr std::align_val_t line{cache_line};
  const bool is_large;
  const BlockCache::Block block;
};

}  // namespace resblock::cpu
