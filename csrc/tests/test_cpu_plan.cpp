// Which schedule batches get whose sequences end early. That of every size without lengths: python_tests/test_plans.py.
#include "core/cpu/plan.h"

#include <string>
#include <vector>

#include "tests/check.h"

namespace {

using namespace resblock::cpu;
using resblock::Sizes;

const Machine machine = {Isa::x86_64_v4, 1};

// One sequence is the longest; the lengths of the others fall evenly from the most to the least.
std::string schedule(const Sizes& size, int64_t longest, int64_t most, int64_t least) {
  std::vector<int64_t> lengths = {longest};
  for (int64_t b = 1; b < size.B; ++b) lengths.push_back(most - b * (most - least) / (size.B - 1));
  Request request = {size, false, std::nullopt};
  request.lengths = lengths.data();
  return schedule_names[int(plan_inference<float>(machine, request).schedule)];
}

struct Row {
  Sizes size;  // T, B, I, H, L
  int64_t longest, most, least;
  const char* expected;
};

const Row rows[] = {
    {{32, 256, 18, 8, 60}, 32, 32, 32, "batched"},     {{32, 256, 18, 8, 60}, 6, 6, 1, "batched"},
    {{32, 128, 18, 8, 60}, 32, 4, 1, "batched"},  // a wavefront would begin and end 128 times
    {{32, 64, 18, 16, 8}, 32, 12, 1, "layerwise"},     {{1000, 4, 18, 8, 60}, 1000, 1000, 1000, "wavefront"},
    {{1000, 4, 18, 8, 60}, 1000, 500, 0, "wavefront"}, {{1000, 4, 18, 8, 60}, 0, 0, 0, "layerwise"},
};

TEST(schedules_follow_the_steps_that_sequences_have) {
  for (const Row& row : rows) {
    const std::string found = schedule(row.size, row.longest, row.most, row.least);
    CHECK_ABOUT(found == row.expected, found + " for lengths up to " + std::to_string(row.most));
  }
}

}  // namespace

TEST_MAIN
