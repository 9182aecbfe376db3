// The CUDA kernels on the host, against the CPU core, over the grid. The arguments may name an order of threads and one
// schedule, which then takes what it can.
#include "tests/check.h"
#include "tests/cpu_call.h"
#include "tests/cuda_call.h"
#include "tests/cuda_on_host.h"
#include "tests/grid.h"
#include "tests/parts.h"

namespace {

using namespace resblock;
using cuda::Schedule;

// What the command line names; else the planner chooses.
CudaCall the_call() {
  for (size_t k = 0; k < std::size(cuda::schedule_names); ++k)
    if (check::is_argument(cuda::schedule_names[k])) return {Schedule(k)};
  return {};
}

template <class S>
bool takes(const CudaCall& call, const Sizes& size) {
  try {
    call.training(Inputs<S>{size, {}, nullptr, {}, nullptr, nullptr, nullptr});
    return true;
  } catch (const std::invalid_argument&) {
    return false;
  }
}

template <class S>
Results<S> run_cuda(const ProblemData<S>& data, const CudaCall& call = the_call()) {
  Results<S> r(data.size);
  call(data.forward(r));
  call(data.backward(r));
  return r;
}

// The CPU's kernels have no half types.
template <class S>
Results<Arithmetic<S>> run_cpu(const ProblemData<S>& given) {
  const ProblemData<Arithmetic<S>> data(given);
  Results<Arithmetic<S>> r(data.size);
  const CpuCall call;
  r.saved.resize(size_t(call.saved_values(data.inputs())));
  call(data.forward(r));
  call(data.backward(r));
  return r;
}

template <class S>
void compare_with_cpu(const Case& c, const CudaCall& call = the_call(), double roundings = 1) {
  if (!takes<S>(call, c.size)) return;
  const ProblemData<S> data(c.size, c.variant, c.seed);
  const double growth = 2 * (64 + 4 * double(c.size.L));  // the bound of test_cpu.cpp, once for either side
  check_close(run_cuda(data, call), run_cpu(data), growth, describe(c.size, c.variant), roundings);
}

// Wide layers of 16-bit types round what meets a matrix product to the type: x, z, h and dz, which the CPU keeps in 32
// bits. Each such rounding is at most half a unit in the last place, sums of many of them grow as a square root only,
// and weights are about 1 / sqrt(H): a handful of them comes to no more than two more at the result.
template <class S>
void compare_wide_halves_with_cpu(const Case& c) {
  compare_with_cpu<S>(c, the_call(), 3);
}

using cuda_on_host::Order;
const cuda_on_host::Schedule ascending = {Order::ascending, 1}, descending = {Order::descending, 2},
                             shuffled = {Order::shuffled, 3};

// What the command line asks for: full, quick, or the few cases in which every kernel runs once or twice, for
// ThreadSanitizer, to which a barrier is the dearer the more threads there are.
bool is_quick() { return !check::is_argument("full"); }
bool is_few() { return check::is_argument("few"); }

// Wide layers have one schedule, which is the planner's choice.
bool is_forced() { return the_call().schedule.has_value(); }
bool has_wide_cases() { return !is_few() && !is_forced(); }

void use_the_usual_device() {
  cuda_on_host::set_device(is_few() ? cuda_on_host::Device{4, 1, true} : cuda_on_host::Device());
}

void choose_schedule() {
  cuda_on_host::set_schedule(check::is_argument("descending") ? descending
                             : check::is_argument("shuffled") ? shuffled
                                                              : ascending);
  use_the_usual_device();
}

// All sizes, or one for each kind of kernel.
std::vector<Case> cases() {
  if (!is_few()) return grid(is_quick(), 1);
  return {{{5, 17, 18, 6, 4}, variant(15), 1},
          {{1, 3, 3, 16, 3}, variant(12), 2},
          {{12, 2, 40, 20, 4}, variant(6), 3},
          {{3, 5, 5, 33, 2}, variant(13), 4}};
}

}  // namespace

TEST(results_agree_with_the_cpu) {
  choose_schedule();
  for (const Case& c : cases()) {
    compare_with_cpu<float>(c);
    if (!is_small(c)) continue;
    compare_with_cpu<double>(c);
    compare_with_cpu<bfloat16>(c);
    compare_with_cpu<float16>(c);
  }
}

TEST(every_variant_agrees_with_the_cpu) {
  for (unsigned bits = 0; bits < 16; bits += is_few() ? 5 : 1)
    compare_with_cpu<float>({{7, 5, 3, 9, is_few() ? 3 : 7}, variant(bits), bits});
}

// Where sequences begin anew, and with c of every step.
TEST(resets_and_cells_agree_with_the_cpu) {
  unsigned count = 0;
  const auto agree = [&](auto type, const Sizes& size, unsigned bits) {
    Variant of = variant(bits);
    of.resets = std::vector<double>{0.02, 0.2, 0.9}[++count % 3];
    of.cells = count % 4 > 0;
    const bool wide_halves = size.H > 32 && sizeof(type) == 2;
    compare_with_cpu<decltype(type)>({size, of, bits}, the_call(), wide_halves ? 3 : 1);
  };
  for (unsigned bits = 0; bits < 16; bits += is_few() ? 5 : 1) {
    agree(float(), {21, 5, 3, 5 + int64_t(bits) % 4 * 8, is_few() ? 3 : 5}, bits);
    agree(double(), {9, 3, 5, 6, 4}, bits);
    if (is_few()) continue;
    agree(bfloat16(), {13, 7, 20, 12, 4}, bits);
    agree(float16(), {11, 3, 20, 32, 4}, bits);
    if (is_forced() || (is_quick() && bits % 5)) continue;
    agree(float(), {7, 7, 40, 37 + int64_t(bits), 4}, bits);
    agree(bfloat16(), {5, 17, 5, 33, 3}, bits);
    agree(double(), {5, 2, 5, 33, 4}, bits);
  }
  if (!has_wide_cases()) return;
  cuda_on_host::set_device({2, 6, false});  // step by step
  for (unsigned bits : {5u, 10u, 15u}) {
    agree(float(), {6, 7, 40, 37, 4}, bits);
    agree(bfloat16(), {4, 9, 50, 35, 3}, bits);
  }
  use_the_usual_device();
}

TEST(a_part_of_a_longer_problem_has_its_own_resets) {
  for (unsigned bits : {8u, 15u}) {
    Variant of = variant(bits);
    of.resets = 0.2;
    check_parts(ProblemData<float>({31, 5, 3, 6 + 13 * (bits & 1), is_few() ? 3 : 5}, of, bits), 12, the_call(),
                the_call());
  }
}

TEST(more_gates_than_threads_of_a_block) {
  if (!has_wide_cases()) return;
  compare_with_cpu<float>({{2, 2, 300, 70, 2}, variant(15), 1});
}

TEST(no_inputs_at_all) {
  compare_with_cpu<float>({{4, 3, 0, 6, 3}, variant(15), 1});
  compare_with_cpu<double>({{4, 3, 0, 6, 3}, variant(15), 1});
  compare_with_cpu<float>({{4, 3, 0, 20, 2}, variant(2), 1});
  if (has_wide_cases()) compare_with_cpu<float>({{4, 3, 0, 40, 2}, variant(15), 1});
}

// More than one block's worth of sequences for some blocks, and for others none.
TEST(more_sequences_than_blocks) {
  if (is_few()) return;
  compare_with_cpu<float>({{2, 4099, 1, 1, 2}, variant(11), 1});
  compare_with_cpu<double>({{2, 4099, 1, 1, 2}, variant(11), 1});
}

TEST(results_are_the_same_bits_in_every_run_and_order) {
  const ProblemData<float> data({19, 17, 18, 8, is_few() ? 3 : 7}, variant(15));
  const Results<float> first = run_cuda(data);
  for (const auto& schedule : {ascending, descending, shuffled}) {
    cuda_on_host::set_schedule(schedule);
    check_same_bits(run_cuda(data), first, "");
  }
  choose_schedule();
}

TEST(without_a_backward_pass_nothing_is_saved) {
  for (unsigned bits = 0; bits < 16; bits += is_few() ? 15 : 1) {
    const ProblemData<float> data({6, 3, 3, 9, is_few() ? 3 : 7}, variant(bits));
    Results<float> training(data.size), inference(data.size);
    the_call()(data.forward(training));
    the_call()(data.forward(inference, false));
    inference.saved = training.saved;
    check_same_bits(inference, training, "");
  }
}

// Long enough for several chunks of time, with sequences that end in each of them.
TEST(long_sequences_agree_with_the_cpu) {
  for (unsigned bits = 0; bits < 16; bits += is_few() ? 5 : 1)
    compare_with_cpu<float>({{41, 5, 20, 5 + int64_t(bits) * 2, is_few() ? 3 : 5}, variant(bits), bits});
  if (is_few()) return;
  compare_with_cpu<bfloat16>({{33, 7, 40, 12, 6}, variant(15), 1});
  compare_with_cpu<float16>({{33, 3, 40, 32, 6}, variant(14), 1});
}

// Whatever the device can have resident: fewer pipes than there are bundles, one pipe alone, and what the planner does
// where the layers' blocks cannot be resident together.
TEST(small_devices_give_the_same_results) {
  if (is_few()) return;
  const ProblemData<float> data({37, 23, 18, 8, 6}, variant(14));
  const Results<float> expected = run_cpu(data);
  for (int multiprocessors : {14, 12, 7, 5})
    for (bool cooperative : {true, false}) {
      cuda_on_host::set_device({multiprocessors, 1, cooperative});
      if (takes<float>(the_call(), data.size))
        check_close(run_cuda(data), expected, 2 * (64 + 4 * 6.), "on a small device ");
    }
  use_the_usual_device();
}

TEST(sixty_layers_agree_with_the_cpu) {
  if (is_few()) return;
  if (!is_quick()) cuda_on_host::set_device({60, 2, true});
  compare_with_cpu<float>({{100, 9, 18, 8, 60}, variant(14), 1});
  use_the_usual_device();
}

TEST(a_part_of_a_longer_problem_knows_where_it_begins) {
  for (unsigned bits = 8; bits < 16; bits += is_few() ? 7 : 1)
    check_parts(ProblemData<float>({31, 5, 3, 6 + 13 * (bits & 1), is_few() ? 3 : 5}, variant(bits), bits), 12,
                the_call(), the_call());
}

TEST(wide_layers_agree_with_the_cpu) {
  if (!has_wide_cases()) return;
  for (unsigned bits = 0; bits < 16; bits += is_quick() ? 7 : 1)
    compare_with_cpu<float>({{4, 7, 40, 37 + int64_t(bits), 4}, variant(bits), bits});
  compare_with_cpu<double>({{4, 2, 5, 33, 4}, variant(15), 1});
  cuda_on_host::set_device({9, 1, true});  // more blocks, each of few units
  compare_with_cpu<float>({{4, 18, 5, 44, 2}, variant(15), 1});
  use_the_usual_device();
}

// Tiles of 16 and 8 that are filled in part; sequences enough for one group of them and for several; a few blocks for
// many units, and many.
TEST(wide_layers_on_tensor_cores_agree_with_the_cpu) {
  if (is_forced()) return;
  if (is_few()) return compare_wide_halves_with_cpu<bfloat16>({{3, 17, 5, 33, 2}, variant(13), 1});
  std::vector<Case> cases = {{{5, 1, 18, 33, 4}, variant(12), 1},
                             {{3, 17, 5, 64, 3}, variant(15), 2},
                             {{3, 40, 5, 33, 4}, variant(13), 3},
                             {{3, 17, 40, 100, 2}, variant(6), 4}};
  if (!is_quick()) cases.push_back({{2, 17, 18, 256, 2}, variant(15), 5});
  for (const Case& c : cases) {
    compare_wide_halves_with_cpu<bfloat16>(c);
    compare_wide_halves_with_cpu<float16>(c);
  }
  cuda_on_host::set_device({9, 1, true});
  compare_wide_halves_with_cpu<float16>(cases[2]);
  use_the_usual_device();
  check_parts(ProblemData<float16>({9, 5, 3, 40, 3}, variant(15)), 4, the_call(), the_call(), 4 * rounding(float16()));
}

TEST(the_general_schedule_takes_wide_layers_too) {
  if (!has_wide_cases()) return;
  compare_with_cpu<double>({{4, 2, 5, 33, 4}, variant(15), 1}, {Schedule::general});
}

// The recurrent weights cannot be resident.
TEST(wide_layers_run_step_by_step) {
  if (!has_wide_cases()) return;
  cuda_on_host::set_device({2, 6, false});
  for (unsigned bits = 0; bits < 16; bits += is_quick() ? 7 : 1)
    compare_with_cpu<float>({{4, 7, 40, 37 + int64_t(bits), 4}, variant(bits), bits});
  compare_with_cpu<double>({{1, 2, 5, 33, 4}, variant(15), 1});
  compare_wide_halves_with_cpu<bfloat16>({{4, 9, 50, 35, 4}, variant(15), 1});
  compare_wide_halves_with_cpu<float16>({{4, 9, 5, 50, 4}, variant(14), 1});
  use_the_usual_device();
}

TEST(the_seed_may_lie_on_the_device) {
  for (const Sizes& size : {Sizes{4, 3, 5, 8, 4}, Sizes{4, 3, 5, 33, 4}}) {
    if (size.H > 32 && !has_wide_cases()) continue;
    const ProblemData<float> data(size, variant(4));
    const Results<float> expected = run_cuda(data);
    const int64_t seed = int64_t(data.options.seed);
    ProblemData<float> other = data;
    other.options.seed = 1;
    check_same_bits(run_cuda(other, {the_call().schedule, &seed}), expected, "");
  }
}

TEST(a_launch_that_fails_says_so) {
  const ProblemData<float> data({2, 1, 3, 4, 2}, variant(0));
  Results<float> r(data.size);
  const auto error_of = [](const auto& problem) -> std::string {
    try {
      the_call()(problem);
    } catch (const std::runtime_error& error) {
      return error.what();
    }
    return "none";
  };
  cuda_on_host::fail_next_launch(cudaErrorInvalidConfiguration);
  CHECK(error_of(data.forward(r)) == "invalid configuration argument");
  the_call()(data.forward(r));
  cuda_on_host::fail_next_launch(cudaErrorLaunchFailure);
  CHECK(error_of(data.backward(r)) == "unspecified launch failure");
}

TEST_MAIN
