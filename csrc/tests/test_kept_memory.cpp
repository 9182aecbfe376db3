// What one training step leaves to the next: which block is handed out again, and which is let go.
#include "core/cpu/kept_memory.h"

#include <string.h>

#include <thread>
#include <vector>

#include "tests/check.h"

namespace {

using resblock::cpu::KeptMemory;

constexpr size_t mebibyte = size_t(1) << 20;

}  // namespace

TEST(a_block_given_back_is_handed_out_again) {
  KeptMemory kept(64 * mebibyte);
  const KeptMemory::Block first = kept.take(8 * mebibyte);
  CHECK(first.bytes == 8 * mebibyte && reinterpret_cast<uintptr_t>(first.data) % resblock::cpu::huge_page == 0);
  const KeptMemory::Block second = kept.take(8 * mebibyte);
  CHECK(second.data != first.data);
  kept.give_back(first);
  CHECK(kept.take(8 * mebibyte).data == first.data);
  kept.give_back(first);
  kept.give_back(second);
}

TEST(a_block_serves_what_fills_three_quarters_of_it) {
  KeptMemory kept(64 * mebibyte);
  const KeptMemory::Block block = kept.take(8 * mebibyte);
  kept.give_back(block);
  const KeptMemory::Block smaller = kept.take(6 * mebibyte);
  CHECK(smaller.data == block.data && smaller.bytes == 8 * mebibyte);
  kept.give_back(smaller);
  for (const size_t bytes : {6 * mebibyte - 1, 8 * mebibyte + 1}) {
    const KeptMemory::Block other = kept.take(bytes);
    CHECK(other.data != block.data && other.bytes == bytes);
    kept.give_back(other);
  }
}

TEST(the_smallest_that_is_large_enough_is_taken) {
  KeptMemory kept(64 * mebibyte);
  const KeptMemory::Block larger = kept.take(9 * mebibyte), fitting = kept.take(8 * mebibyte);
  kept.give_back(larger);
  kept.give_back(fitting);
  const KeptMemory::Block taken = kept.take(8 * mebibyte);
  CHECK(taken.data == fitting.data);
  kept.give_back(taken);
}

// That a block was let go shows in the size of the next one: it is not that of a larger block that would have served.
TEST(beyond_the_limit_those_go_that_have_waited_longest) {
  KeptMemory kept(20 * mebibyte);
  const KeptMemory::Block first = kept.take(11 * mebibyte), second = kept.take(9 * mebibyte + 1);
  kept.give_back(first);
  kept.give_back(second);
  const KeptMemory::Block new_one = kept.take(10 * mebibyte), old_one = kept.take(9 * mebibyte);
  CHECK(new_one.bytes == 10 * mebibyte);
  CHECK(old_one.data == second.data);
  kept.give_back(new_one);
  kept.give_back(old_one);
}

TEST(what_is_larger_than_the_limit_goes_alone) {
  KeptMemory kept(20 * mebibyte);
  const KeptMemory::Block small = kept.take(8 * mebibyte);
  kept.give_back(small);
  kept.give_back(kept.take(21 * mebibyte));
  const KeptMemory::Block taken = kept.take(7 * mebibyte), large = kept.take(20 * mebibyte);
  CHECK(taken.bytes == 8 * mebibyte);
  CHECK(large.bytes == 20 * mebibyte);
  kept.give_back(taken);
  kept.give_back(large);
}

TEST(without_a_limit_to_fill_nothing_waits) {
  KeptMemory kept(0);
  kept.give_back(kept.take(8 * mebibyte));
  const KeptMemory::Block next = kept.take(7 * mebibyte);
  CHECK(next.bytes == 7 * mebibyte);
  kept.give_back(next);
}

TEST(threads_never_hold_the_same_block) {
  KeptMemory kept(3 * mebibyte);
  std::vector<std::thread> threads;
  std::vector<int> wrong(4);
  for (int index = 0; index < 4; ++index)
    threads.emplace_back([&, index] {
      for (int turn = 0; turn < 200; ++turn) {
        const KeptMemory::Block block = kept.take(mebibyte);
        auto* bytes = static_cast<unsigned char*>(block.data);
        memset(bytes, index + 1, 4096);
        for (int k = 0; k < 4096; ++k) wrong[size_t(index)] += bytes[k] != index + 1;
        kept.give_back(block);
      }
    });
  for (std::thread& thread : threads) thread.join();
  for (const int count : wrong) CHECK(count == 0);
}

TEST_MAIN
