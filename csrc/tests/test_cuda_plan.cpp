// Which schedule a size gets on a GPU, and how its work is shared out: a table, made without a GPU.
#include "core/cuda/plan.h"

#include <string>

#include "tests/check.h"

namespace {

using namespace resblock::cuda;
using resblock::bfloat16, resblock::float16, resblock::Sizes;

constexpr Machine a100 = {108, 32, 164 * 1024, 163 * 1024, true};
constexpr Machine not_cooperative = {132, 32, 228 * 1024, 227 * 1024, false};

// The schedule and its blocks; of a wavefront then its pipes, of wide layers the units of a block.
std::string text(const Plan& plan) {
  const Partition& p = plan.partition;
  std::string out = schedule_names[int(plan.schedule)] + (" " + std::to_string(p.blocks));
  if (plan.schedule == Schedule::wavefront) out += " of " + std::to_string(p.pipes);
  if (plan.schedule == Schedule::wide) out += " of " + std::to_string(p.units);
  return out;
}

// Forward and backward.
template <class S>
std::string both(const Machine& machine, const Sizes& size) {
  const Training plan = plan_training<S>(machine, {size, false, std::nullopt});
  return text(plan.forward) + ", " + text(plan.backward);
}

struct Row {
  Sizes size;  // T, B, I, H, L
  std::string (*plan)(const Machine&, const Sizes&);
  const char* expected;
};

const Row on_h200[] = {
    {{10000, 1, 18, 8, 60}, both<float>, "wavefront 60 of 1, wavefront 60 of 1"},
    {{40000, 1, 18, 8, 60}, both<float>, "wavefront 60 of 1, wavefront 60 of 1"},
    {{9, 27904, 18, 8, 60}, both<float>, "serial 528, serial 528"},
    {{9, 512, 18, 8, 60}, both<float>, "serial 32, serial 32"},
    {{1000, 8, 18, 8, 60}, both<float>, "wavefront 120 of 2, wavefront 120 of 2"},
    {{1000, 64, 18, 8, 60}, both<float>, "wavefront 960 of 16, wavefront 240 of 4"},
    {{1000, 8192, 18, 8, 60}, both<float>, "serial 512, serial 512"},
    {{256, 64, 18, 32, 60}, both<float>, "wavefront 480 of 8, wavefront 120 of 2"},
    {{1, 1, 18, 8, 60}, both<float>, "serial 1, serial 1"},
    {{2, 1, 18, 8, 60}, both<float>, "serial 1, serial 1"},
    {{9, 1, 18, 8, 60}, both<float>, "serial 1, serial 1"},
    {{20, 1, 18, 8, 60}, both<float>, "wavefront 60 of 1, wavefront 60 of 1"},
    {{100, 1, 18, 8, 1}, both<float>, "serial 1, serial 1"},
    {{100, 1, 18, 8, 2}, both<float>, "wavefront 2 of 1, wavefront 2 of 1"},
    {{100, 1, 18, 8, 4}, both<float>, "wavefront 4 of 1, wavefront 4 of 1"},
    {{100, 4, 18, 16, 4}, both<float>, "wavefront 8 of 2, wavefront 8 of 2"},
    {{100, 4, 18, 17, 4}, both<float>, "wavefront 16 of 4, wavefront 16 of 4"},
    {{100, 5000, 18, 16, 4}, both<float>, "serial 528, serial 528"},
    {{5000, 1, 3, 8, 4}, both<float>, "wavefront 4 of 1, wavefront 4 of 1"},
    {{1000, 1, 18, 16, 264}, both<float>, "wavefront 264 of 1, wavefront 264 of 1"},
    {{1000, 1, 18, 16, 265}, both<float>, "wavefront 265 of 1, serial 1"},
    {{1000, 1, 18, 32, 132}, both<float>, "wavefront 132 of 1, wavefront 132 of 1"},
    {{1000, 1, 18, 32, 133}, both<float>, "wavefront 133 of 1, serial 1"},
    {{1000, 1, 64, 8, 6}, both<float>, "wavefront 6 of 1, wavefront 6 of 1"},
    {{1000, 1, 65, 8, 6}, both<float>, "serial 1, serial 1"},
    {{1000, 1, 0, 8, 6}, both<float>, "wavefront 6 of 1, wavefront 6 of 1"},
    {{0, 4, 18, 8, 6}, both<float>, "serial 1, serial 1"},
    {{4, 0, 18, 8, 6}, both<float>, "serial 1, serial 1"},
    {{1000, 8, 18, 8, 60}, both<bfloat16>, "wavefront 120 of 2, wavefront 120 of 2"},
    {{9, 512, 18, 32, 4}, both<float16>, "serial 128, serial 128"},
    {{1000, 8, 18, 8, 60}, both<double>, "general 8, general 8"},
    {{9, 5000, 18, 32, 4}, both<double>, "general 4096, general 4096"},
    {{9, 64, 18, 33, 4}, both<double>, "wide 33 of 1, wide 33 of 1"},
    {{512, 64, 18, 33, 2}, both<float>, "wide 33 of 1, wide 33 of 1"},
    {{512, 64, 18, 256, 2}, both<float>, "wide 256 of 1, wide 256 of 1"},
    {{512, 64, 18, 768, 2}, both<float>, "wide 154 of 5, wide 154 of 5"},
    {{512, 64, 18, 1300, 2}, both<float>, "wide 130 of 10, wide 130 of 10"},
    {{0, 64, 18, 256, 2}, both<float>, "wide 0 of 0, wide 0 of 0"},
    {{512, 0, 18, 256, 2}, both<float>, "wide 0 of 0, wide 0 of 0"},
    {{512, 64, 18, 33, 2}, both<bfloat16>, "wide 10 of 8, wide 10 of 8"},
    {{512, 64, 18, 256, 2}, both<bfloat16>, "wide 64 of 8, wide 64 of 8"},
    {{512, 1, 18, 768, 2}, both<bfloat16>, "wide 96 of 8, wide 96 of 8"},
    {{512, 64, 18, 768, 2}, both<bfloat16>, "wide 192 of 8, wide 192 of 8"},
    {{512, 64, 18, 1536, 2}, both<float16>, "wide 96 of 16, wide 192 of 8"},
    {{512, 64, 18, 2048, 2}, both<float16>, "wide 0 of 0, wide 0 of 0"},
    {{1073741824, 1, 18, 64, 2}, both<bfloat16>, "wide 0 of 0, wide 0 of 0"},
    {{512, 64, 18, 512, 2}, both<double>, "wide 171 of 3, wide 171 of 3"},
    {{512, 64, 18, 1024, 2}, both<double>, "wide 0 of 0, wide 0 of 0"},
};

// What a refusal says; nothing where there is none.
template <class S>
std::string refusal(const Sizes& size, Schedule schedule, const Machine& machine = h200) {
  try {
    plan_training<S>(machine, {size, false, schedule});
  } catch (const std::invalid_argument& error) {
    return error.what();
  }
  return "";
}

bool refuses(const std::string& message, const std::string& name) {
  return message.find("schedule is '" + name + "', which takes ") == 0;
}

}  // namespace

TEST(each_size_gets_its_schedule) {
  for (const Row& row : on_h200) {
    const std::string found = row.plan(h200, row.size);
    CHECK_ABOUT(found == row.expected, std::string(row.expected) + " became " + found);
  }
}

TEST(inference_is_shared_out_as_the_forward_pass_of_training) {
  for (const Sizes& size : {Sizes{1000, 8, 18, 8, 60}, Sizes{9, 512, 18, 20, 4}, Sizes{512, 64, 18, 256, 2}}) {
    const Plan inference = plan_inference<float>(h200, {size, false, std::nullopt});
    const Training training = plan_training<float>(h200, {size, false, std::nullopt});
    CHECK(text(inference) == text(training.forward) && inference.workspace == training.forward.workspace);
    CHECK(inference.saved == 0);
    CHECK(training.forward.saved == size.L * size.T * size.B * size.H * 6 * 4);
    CHECK(training.backward.saved == training.forward.saved);
  }
}

TEST(a_smaller_device_has_fewer_blocks) {
  CHECK(both<float>(a100, {1000, 64, 18, 8, 60}) == "wavefront 960 of 16, wavefront 180 of 3");
  CHECK(both<float>(a100, {512, 64, 18, 768, 2}) == "wide 96 of 8, wide 96 of 8");
}

TEST(without_cooperative_launches_nothing_waits_for_another_block) {
  CHECK(both<float>(not_cooperative, {1000, 8, 18, 8, 60}) == "serial 1, serial 1");
  CHECK(both<bfloat16>(not_cooperative, {512, 64, 18, 256, 2}) == "wide 0 of 0, wide 0 of 0");
}

TEST(a_schedule_can_be_asked_for) {
  const Sizes narrow = {9, 512, 18, 8, 60};
  CHECK(refusal<float>(narrow, Schedule::serial).empty());
  CHECK(refusal<float>(narrow, Schedule::wavefront).empty());
  CHECK(refusal<double>({9, 4, 18, 40, 2}, Schedule::general).empty());
  const Plan plan = plan_inference<float>(h200, {narrow, false, Schedule::wavefront});
  CHECK(plan.schedule == Schedule::wavefront && plan.partition.pipes > 1);
}

TEST(a_schedule_that_does_not_take_the_problem_is_refused) {
  const Sizes narrow = {9, 512, 18, 8, 60}, wide = {9, 4, 18, 40, 2};
  CHECK(refuses(refusal<float>(narrow, Schedule::general), "general"));
  CHECK(refuses(refusal<float>(narrow, Schedule::wide), "wide"));
  CHECK(refuses(refusal<float>(wide, Schedule::serial), "serial"));
  CHECK(refuses(refusal<double>(narrow, Schedule::serial), "serial"));
  CHECK(refuses(refusal<float16>(wide, Schedule::wavefront), "wavefront"));
  CHECK(refuses(refusal<float>(narrow, Schedule::wavefront, not_cooperative), "wavefront"));
  CHECK(refuses(refusal<float>({0, 4, 18, 8, 6}, Schedule::wavefront), "wavefront"));
  CHECK(refuses(refusal<float>({9, 4, 65, 8, 6}, Schedule::wavefront), "wavefront"));
}

TEST(a_workspace_ends_on_a_boundary) {
  for (const Row& row : on_h200) {
    const Training plan = plan_training<bfloat16>(h200, {row.size, false, std::nullopt});
    CHECK(plan.forward.workspace % 16 == 0 && plan.backward.workspace % 16 == 0);
  }
}

TEST_MAIN
