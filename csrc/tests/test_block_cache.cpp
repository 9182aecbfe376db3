// What one training step leaves to the next: which block is handed out again, and which is let go.
#include "core/cpu/block_cache.h"

#include <string.h>

#include <thread>
#include <vector>

#include "tests/check.h"

namespace {

using resblock::cpu::BlockCache;

constexpr size_t mebibyte = size_t(1) << 20;

}  // namespace

TEST(a_block_given_back_is_handed_out_again) {
  BlockCache cache(64 * mebibyte);
  const BlockCache::Block first = cache.take(8 * mebibyte);
  CHECK(first.bytes == 8 * mebibyte && reinterpret_cast<uintptr_t>(first.data) % resblock::cpu::huge_page == 0);
  const BlockCache::Block second = cache.take(8 * mebibyte);
  CHECK(second.data != first.data);
  cache.give_back(first);
  CHECK(cache.take(8 * mebibyte).data == first.data);
  cache.give_back(first);
  cache.give_back(second);
}

TEST(a_block_serves_what_fills_three_quarters_of_it) {
  BlockCache cache(64 * mebibyte);
  const BlockCache::Block block = cache.take(8 * mebibyte);
  cache.give_back(block);
  const BlockCache::Block smaller = cache.take(6 * mebibyte);
  CHECK(smaller.data == block.data && smaller.bytes == 8 * mebibyte);
  cache.give_back(smaller);
  for (const size_t bytes : {6 * mebibyte - 1, 8 * mebibyte + 1}) {
    const BlockCache::Block other = cache.take(bytes);
    CHECK(other.data != block.data && other.bytes == bytes);
    cache.give_back(other);
  }
}

TEST(the_smallest_that_is_large_enough_is_taken) {
  BlockCache cache(64 * mebibyte);
  const BlockCache::Block larger = cache.take(9 * mebibyte), fitting = cache.take(8 * mebibyte);
  cache.give_back(larger);
  cache.give_back(fitting);
  const BlockCache::Block taken = cache.take(8 * mebibyte);
  CHECK(taken.data == fitting.data);
  cache.give_back(taken);
}

// That a block was let go shows in the size of the next one: it is not that of a larger block that would have served.
TEST(beyond_the_limit_those_go_that_have_waited_longest) {
  BlockCache cache(20 * mebibyte);
  const BlockCache::Block first = cache.take(11 * mebibyte), second = cache.take(9 * mebibyte + 1);
  cache.give_back(first);
  cache.give_back(second);
  const BlockCache::Block new_one = cache.take(10 * mebibyte), old_one = cache.take(9 * mebibyte);
  CHECK(new_one.bytes == 10 * mebibyte);
  CHECK(old_one.data == second.data);
  cache.give_back(new_one);
  cache.give_back(old_one);
}

TEST(what_is_larger_than_the_limit_goes_alone) {
  BlockCache cache(20 * mebibyte);
  const BlockCache::Block small = cache.take(8 * mebibyte);
  cache.give_back(small);
  cache.give_back(cache.take(21 * mebibyte));
  const BlockCache::Block taken = cache.take(7 * mebibyte), large = cache.take(20 * mebibyte);
  CHECK(taken.bytes == 8 * mebibyte);
  CHECK(large.bytes == 20 * mebibyte);
  cache.give_back(taken);
  cache.give_back(large);
}

TEST(without_a_limit_to_fill_nothing_waits) {
  BlockCache cache(0);
  cache.give_back(cache.take(8 * mebibyte));
  const BlockCache::Block next = cache.take(7 * mebibyte);
  CHECK(next.bytes == 7 * mebibyte);
  cache.give_back(next);
}

TEST(threads_never_hold_the_same_block) {
  BlockCache cache(3 * mebibyte);
  std::vector<std::thread> threads;
  std::vector<int> wrong(4);
  for (int index = 0; index < 4; ++index)
    threads.emplace_back([&, index] {
      for (int round = 0; round < 200; ++round) {
        const BlockCache::Block block = cache.take(mebibyte);
        auto* bytes = static_cast<unsigned char*>(block.data);
        memset(bytes, index + 1, 4096);
        for (int k = 0; k < 4096; ++k) wrong[size_t(index)] += bytes[k] != index + 1;
        cache.give_back(block);
      }
    });
  for (std::thread& thread : threads) thread.join();
  for (const int count : wrong) CHECK(count == 0);
}

TEST_MAIN
