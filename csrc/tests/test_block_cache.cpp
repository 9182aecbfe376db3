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
    CHECK(other.bytes == bytes);
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

TEST(what_is_larger_than_the_limit_does_not_wait) {
  BlockCache cache(20 * mebibyte);
  cache.give_back(cache.take(21 * mebibyte));
  const BlockCache::Block large = cache.take(20 * mebibyte);
  CHECK(large.bytes == 20 * mebibyte);
  cache.give_back(large);
}

TEST(no_more_waits_than_was_in_use_at_once) {
  BlockCache cache(1000 * mebibyte);
  size_t least_served = 100;
  for (size_t size = 8; size < 100; size = size * 3 / 2) {  // none serves the next
    const BlockCache::Block block = cache.take(size * mebibyte);
    CHECK(block.bytes == size * mebibyte);
    cache.give_back(block);
    least_served = size;
  }
  // One as large as the largest that was ever in use may wait, and a quarter of it besides.
  const BlockCache::Block largest = cache.take(least_served * mebibyte), next = cache.take(6 * mebibyte);
  CHECK(next.bytes == 6 * mebibyte);
  cache.give_back(largest);
  cache.give_back(next);
}

TEST(what_a_step_takes_again_waits_through_the_step) {
  BlockCache cache(1000 * mebibyte);
  void* places[3] = {};
  for (int step = 0; step < 3; ++step) {
    const BlockCache::Block saved = cache.take(40 * mebibyte), forward = cache.take(6 * mebibyte);
    cache.give_back(forward);
    const BlockCache::Block backward = cache.take(14 * mebibyte);
    void* found[] = {saved.data, forward.data, backward.data};
    for (int k = 0; k < 3; ++k) CHECK(step == 0 || found[k] == places[k]);
    std::copy_n(found, 3, places);
    cache.give_back(backward);
    cache.give_back(saved);
  }
}

TEST(what_was_large_once_is_forgotten) {
  BlockCache cache(1000 * mebibyte);
  cache.give_back(cache.take(500 * mebibyte));
  for (int call = 0; call < 300; ++call) cache.give_back(cache.take(8 * mebibyte));
  const BlockCache::Block block = cache.take(400 * mebibyte);
  CHECK(block.bytes == 400 * mebibyte);
  cache.give_back(block);
}

TEST(emptied_nothing_waits) {
  BlockCache cache(64 * mebibyte);
  cache.give_back(cache.take(8 * mebibyte));
  CHECK(cache.empty() == 8 * mebibyte && cache.empty() == 0);
  const BlockCache::Block next = cache.take(7 * mebibyte);
  CHECK(next.bytes == 7 * mebibyte);
  cache.give_back(next);
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
