// Memory that one call leaves to the next.
#pragma once
#include <stddef.h>
#include <stdlib.h>

#include <algorithm>
#include <mutex>
#include <new>
#include <vector>

#include "core/cpu/arena.h"
#include "core/cpu/huge_pages.h"

namespace resblock::cpu {

// Results, workspaces and saved activations are large, and as large in every call. The operating system hands out
// fresh pages filled with zeros, which takes up to a third of the call's time; so a block that is given back waits for
// the next call that wants it. Where sizes change from call to call, blocks that nobody wants would pile up: those that
// wait and those in use together take at most a quarter more than was in use at once lately, and the longest wait ends
// first.
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
    std::vector<Block> surplus;
    {
      const std::lock_guard<std::mutex> lock(mutex);
      const size_t found = find_waiting(bytes);
      const Block block = found < waiting.size() ? remove(found) : Block{nullptr, bytes};
      count_in_use(block.bytes);
      if (block.data) return block;
      surplus = take_surplus();
    }
    release(surplus);
    return allocate(bytes);
  }

  void give_back(Block block) {
    std::vector<Block> surplus;
    {
      const std::lock_guard<std::mutex> lock(mutex);
      in_use -= block.bytes;
      waiting.push_back(block);
      waiting_bytes += block.bytes;
      surplus = take_surplus();
    }
    release(surplus);
  }

  // Ends every wait; says how many bytes waited.
  size_t empty() {
    std::vector<Block> all;
    size_t bytes;
    {
      const std::lock_guard<std::mutex> lock(mutex);
      all.swap(waiting);
      bytes = waiting_bytes;
      waiting_bytes = 0;
    }
    release(all);
    return bytes;
  }

 private:
  static constexpr std::align_val_t alignment{huge_page};
  static constexpr int64_t lately = 128;  // blocks taken, some dozens of calls
  const size_t limit;
  std::mutex mutex;
  std::vector<Block> waiting;  // the longest first
  size_t waiting_bytes = 0, in_use = 0;
  size_t most_in_use = 0, most_before = 0;  // among the last blocks taken, and among as many before these
  int64_t taken = 0;

  static void release(const std::vector<Block>& blocks) {
    for (const Block& block : blocks) operator delete(block.data, alignment);
  }

  Block allocate(size_t bytes) {
    const auto fresh = [=] { return Block{operator new(bytes, alignment), bytes}; };
    Block block;
    try {
      block = fresh();
    } catch (const std::bad_alloc&) {
      empty();
      try {
        block = fresh();
      } catch (const std::bad_alloc&) {
        const std::lock_guard<std::mutex> lock(mutex);
        in_use -= bytes;
        throw;
      }
    }
    ask_for_huge_pages(block.data, bytes);
    return block;
  }

  void count_in_use(size_t bytes) {
    in_use += bytes;
    if (++taken % lately == 0) {
      most_before = most_in_use;
      most_in_use = 0;
    }
    most_in_use = std::max(most_in_use, in_use);
  }

  std::vector<Block> take_surplus() {
    const size_t most = std::max(most_in_use, most_before), all = most + most / 4;
    const size_t may_wait = std::min(limit, all - std::min(all, in_use));
    std::vector<Block> surplus;
    while (waiting_bytes > may_wait) surplus.push_back(remove(0));
    return surplus;
  }

  Block remove(size_t index) {
    const Block block = waiting[index];
    waiting.erase(waiting.begin() + ptrdiff_t(index));
    waiting_bytes -= block.bytes;
    return block;
  }

  // The smallest that is large enough, if not more than a quarter of it would lie idle; else none.
  size_t find_waiting(size_t bytes) const {
    size_t best = waiting.size();
    for (size_t k = 0; k < waiting.size(); ++k) {
      const size_t idle = waiting[k].bytes - bytes;
      if (waiting[k].bytes >= bytes && idle <= waiting[k].bytes / 4 &&
          (best == waiting.size() || waiting[k].bytes < waiting[best].bytes))
        best = k;
    }
    return best;
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
