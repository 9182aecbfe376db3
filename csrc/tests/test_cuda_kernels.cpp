// The CUDA kernels on the host, against the CPU core, over the grid.
#include "core/cpu/plan.h"
#include "core/cuda/launch.h"
#include "tests/check.h"
#include "tests/cuda_on_host.h"
#include "tests/grid.h"

namespace {

using namespace resblock;

// As large as it was asked for, to the byte, and full of NaN.
struct Workspace {
  std::vector<unsigned char> bytes;
  explicit Workspace(size_t count) : bytes(count, 0xff) {}
  void* data() { return bytes.data(); }
};

void check_success(const char* error) { CHECK_ABOUT(!error, error ? error : ""); }

template <class S>
void run_forward(const Forward<S>& problem) {
  Workspace workspace(cuda::forward_workspace(problem));
  check_success(cuda::forward(problem, workspace.data(), nullptr));
}

template <class S>
Results<S> run_cuda(const ProblemData<S>& data) {
  Results<S> r(data.size);
  run_forward(data.forward(r));
  const Backward<S> backward = data.backward(r);
  Workspace workspace(cuda::backward_workspace(backward));
  check_success(cuda::backward(backward, workspace.data(), nullptr));
  return r;
}

template <class S>
Results<S> run_cpu(const ProblemData<S>& data) {
  Results<S> r(data.size);
  cpu::forward(data.forward(r), cpu::serial);
  cpu::backward(data.backward(r), cpu::serial);
  return r;
}

template <class S>
void compare_with_cpu(const Case& c) {
  const ProblemData<S> data(c.size, c.variant, c.seed);
  const double growth = 2 * (64 + 4 * double(c.size.L));  // the bound of test_cpu.cpp, once for either side
  check_close(run_cuda(data), run_cpu(data), growth, describe(c.size, c.variant));
}

using cuda_on_host::Order;
const cuda_on_host::Schedule ascending = {Order::ascending, 1}, descending = {Order::descending, 2},
                             shuffled = {Order::shuffled, 3};

void choose_schedule() {
  cuda_on_host::set_schedule(check::is_argument("descending") ? descending
                             : check::is_argument("shuffled") ? shuffled
                                                              : ascending);
}

}  // namespace

TEST(results_agree_with_the_cpu) {
  choose_schedule();
  for (const Case& c : grid(check::is_argument("quick"), 1)) {
    compare_with_cpu<float>(c);
    if (!is_small(c)) continue;
    compare_with_cpu<double>(c);
    compare_with_cpu<bfloat16>(c);
    compare_with_cpu<float16>(c);
  }
}

TEST(every_variant_agrees_with_the_cpu) {
  for (unsigned bits = 0; bits < 16; ++bits) compare_with_cpu<float>({{7, 5, 3, 9, 7}, variant(bits), bits});
}

TEST(more_gates_than_threads_of_a_block) { compare_with_cpu<float>({{2, 2, 300, 70, 2}, variant(15), 1}); }

// More than one block's worth of sequences for some blocks, and for others none.
TEST(more_sequences_than_blocks) { compare_with_cpu<float>({{2, 4099, 1, 1, 2}, variant(11), 1}); }

TEST(results_are_the_same_bits_in_every_run_and_order) {
  const ProblemData<float> data({5, 17, 18, 8, 7}, variant(15));
  const Results<float> first = run_cuda(data);
  for (const auto& schedule : {ascending, descending, shuffled}) {
    cuda_on_host::set_schedule(schedule);
    check_same_bits(run_cuda(data), first, "");
  }
}

TEST(without_a_backward_pass_nothing_is_saved) {
  for (unsigned bits = 0; bits < 16; ++bits) {
    const ProblemData<float> data({6, 3, 3, 9, 7}, variant(bits));
    Results<float> kept(data.size), not_kept(data.size);
    run_forward(data.forward(kept));
    run_forward(data.forward(not_kept, false));
    not_kept.saved = kept.saved;
    check_same_bits(not_kept, kept, "");
  }
}

TEST(a_launch_that_fails_says_so) {
  const ProblemData<float> data({2, 1, 3, 4, 2}, variant(0));
  Results<float> r(data.size);
  const Forward<float> forward = data.forward(r);
  const Backward<float> backward = data.backward(r);
  Workspace workspace(std::max(cuda::forward_workspace(forward), cuda::backward_workspace(backward)));
  cuda_on_host::fail_next_launch(cudaErrorInvalidConfiguration);
  const char* error = cuda::forward(forward, workspace.data(), nullptr);
  CHECK(error && std::string(error) == "invalid configuration argument");
  cuda_on_host::fail_next_launch(cudaErrorLaunchFailure);
  CHECK(cuda::backward(backward, workspace.data(), nullptr) != nullptr);
}

TEST_MAIN
