// The CPU core against the scalar reference, over the grid. RESBLOCK_ISA says which instruction set.
#include <atomic>
#include <random>
#include <thread>

#include "core/cpu/plan.h"
#include "tests/check.h"
#include "tests/grid.h"
#include "tests/parts.h"
#include "tests/scalar_reference.h"

namespace {

using namespace resblock;

// Threads that fetch tasks as they come: no two runs need be alike.
struct Threads {
  int count;

  static void run(void* context, int64_t tasks, void (*task)(const void*, int64_t), const void* argument) {
    std::atomic<int64_t> next{0};
    auto work = [&] {
      for (int64_t index = next++; index < tasks; index = next++) task(argument, index);
    };
    std::vector<std::thread> others;
    for (int k = 1; k < static_cast<Threads*>(context)->count; ++k) others.emplace_back(work);
    work();
    for (std::thread& other : others) other.join();
  }
};

template <class S>
Results<S> run(const ProblemData<S>& data, const cpu::Parallel& parallel = cpu::serial) {
  Results<S> r(data.size);
  cpu::forward(data.forward(r), parallel);
  cpu::backward(data.backward(r), parallel);
  return r;
}

// Of the forward pass alone, which may take another schedule than before a backward pass.
template <class S>
Results<S> run_forward(const ProblemData<S>& data, const Results<S>& rest,
                       const cpu::Parallel& parallel = cpu::serial) {
  Results<S> r(data.size);
  cpu::forward(data.forward(r, false), parallel);
  Results<S> all = rest;
  all.output = r.output;
  all.h_n = r.h_n;
  all.c_n = r.c_n;
  return all;
}

template <class S>
void compare_with_reference(const Case& c) {
  const ProblemData<S> data(c.size, c.variant, c.seed);
  const Results<S> found = run(data);
  const Results<double> expected = ScalarReference<S>(data).forward_and_backward();
  const double growth = 96 + 4 * double(c.size.L);
  check_close(found, expected, growth, describe(c.size, c.variant));
  check_close(run_forward(data, found), expected, growth, "forward alone " + describe(c.size, c.variant));
}

template <class S>
void compare_threads(const Case& c) {
  const ProblemData<S> data(c.size, c.variant, c.seed);
  const Results<S> serial = run(data), serial_forward = run_forward(data, serial);
  for (int count : {2, 3}) {
    Threads threads{count};
    const cpu::Parallel parallel = {&threads, count, Threads::run};
    check_same_bits(run(data, parallel), serial, describe(c.size, c.variant));
    check_same_bits(run_forward(data, serial, parallel), serial_forward, describe(c.size, c.variant));
  }
}

// Null for states and for gradients of the last ones stands for zeros, for gradients of the first ones: not wanted.
template <class S>
void compare_without_states(const Case& c) {
  ProblemData<S> data(c.size, c.variant, c.seed);
  for (auto* states : {&data.h_0, &data.c_0, &data.grad_h_n, &data.grad_c_n})
    std::fill(states->begin(), states->end(), S{});
  const Results<S> expected = run(data);
  Results<S> found(data.size), alone = expected;
  for (Forward<S> forward : {data.forward(found), data.forward(alone, false)}) {
    forward.h_0 = forward.c_0 = nullptr;
    cpu::forward(forward, cpu::serial);
  }
  check_same_bits(alone, run_forward(data, expected), "forward alone " + describe(c.size, c.variant));
  Backward<S> backward = data.backward(found);
  backward.h_0 = backward.c_0 = backward.grad_h_n = backward.grad_c_n = nullptr;
  cpu::backward(backward, cpu::serial);
  check_same_bits(found, expected, describe(c.size, c.variant));

  Results<S> unwanted(data.size);
  Forward<S> forward = data.forward(unwanted);
  forward.h_0 = forward.c_0 = nullptr;
  cpu::forward(forward, cpu::serial);
  Backward<S> without = data.backward(unwanted);
  without.h_0 = without.c_0 = without.grad_h_n = without.grad_c_n = without.grad_h_0 = without.grad_c_0 = nullptr;
  cpu::backward(without, cpu::serial);
  unwanted.grad_h_0 = expected.grad_h_0, unwanted.grad_c_0 = expected.grad_c_0;
  check_same_bits(unwanted, expected, "states' gradients not wanted " + describe(c.size, c.variant));
}

}  // namespace

TEST(instruction_set_is_not_above_the_wanted) {
  const std::string found = cpu::instruction_set();
  printf("instruction set: %s\n", found.c_str());
  const char* wanted = getenv("RESBLOCK_ISA");
  if (wanted && found != "portable") CHECK(found <= std::string(wanted));
}

TEST(results_agree_with_the_scalar_reference) {
  const bool quick = check::is_argument("quick");
  for (const Case& c : grid(quick, quick ? 1 : 2)) {
    compare_with_reference<float>(c);
    compare_with_reference<double>(c);
    if (!is_small(c)) continue;
    compare_with_reference<bfloat16>(c);
    compare_with_reference<float16>(c);
  }
}

TEST(long_sequences_agree_with_the_scalar_reference) {
  for (unsigned bits = 0; bits < 16; ++bits) {
    compare_with_reference<float>({{300, 2, 5, 8, 5}, variant(bits), 1});
    compare_with_reference<double>({{70, 40, 5, 3, 4}, variant(bits), 1});
    compare_with_reference<float>({{600, 1, 3, std::vector<int64_t>{2, 7, 13, 20}[bits / 4], 17}, variant(bits), 1});
    compare_with_reference<float>({{bits + 1, 2, 5, 32, 4}, variant(bits), 1});
  }
}

TEST(wide_layers_agree_with_the_scalar_reference) {
  compare_with_reference<float>({{3, 5, 70, 130, 2}, variant(2), 1});
  compare_with_reference<double>({{3, 5, 70, 130, 2}, variant(13), 1});
  compare_with_reference<float>({{3, 20, 40, 264, 2}, variant(9), 1});    // weights packed layer by layer
  compare_with_reference<double>({{10, 60, 6, 260, 1}, variant(11), 1});  // weights beyond the second-level cache
  compare_with_reference<bfloat16>({{1, 3, 300, 257, 2}, variant(6), 1});
  compare_with_reference<float>({{1, 7, 300, 257, 3}, variant(2), 1});  // weights and gradients in place
}

TEST(a_part_of_a_longer_problem_knows_where_it_begins) {
  for (unsigned bits = 8; bits < 16; ++bits)
    for (int64_t B : {1, 20})
      check_parts(
          ProblemData<float>({31, B, 3, 6 + 13 * (bits & 1), 5}, variant(bits), bits), 12,
          [](const Forward<float>& p) { cpu::forward(p, cpu::serial); },
          [](const Backward<float>& p) { cpu::backward(p, cpu::serial); });
}

TEST(results_do_not_depend_on_the_number_of_threads) {
  for (const Case& c : grid(true, 1)) {
    compare_threads<float>(c);
    if (is_small(c)) compare_threads<double>(c);
  }
  compare_threads<float>({{20, 300, 18, 8, 4}, variant(15), 1});
  compare_threads<float>({{2, 4, 128, 160, 2}, variant(3), 1});
  compare_threads<float>({{9, 19, 40, 264, 3}, variant(11), 1});
  compare_threads<float>({{5, 9, 40, 300, 2}, variant(12), 1});
  compare_threads<float>({{40, 14, 40, 260, 2}, variant(8), 1});
  compare_threads<double>({{10, 70, 6, 260, 2}, variant(11), 1});  // three threads share the products of two blocks
  compare_threads<float>({{600, 2, 18, 8, 60}, variant(3), 1});
  // Without dropout: each of the wavefront's kernels, the segments of several chunks beside each other.
  for (const int64_t H : {3, 8, 16, 20})
    for (const unsigned bits : {3u, 10u}) compare_threads<float>({{600, 2, 18, H, 9}, variant(bits), 1});
}

TEST(states_may_be_left_out) {
  for (const Sizes& size : {Sizes{3, 17, 5, 8, 4}, Sizes{3, 2, 5, 6, 3}, Sizes{4, 16, 5, 8, 2}, Sizes{1, 3, 5, 33, 2}})
    for (unsigned bits : {2u, 13u}) {
      compare_without_states<float>({size, variant(bits), 1});
      compare_without_states<bfloat16>({size, variant(bits), 1});
    }
}

TEST(the_reference_has_the_gradients_of_its_loss) {
  for (unsigned bits = 0; bits < 16; ++bits) {
    ProblemData<double> data({4, 3, 2, 3, 6}, variant(bits));
    const Results<double> r = ScalarReference<double>(data).forward_and_backward();
    auto check_gradient = [&](std::vector<double>& parameters, const std::vector<double>& gradient, size_t stride) {
      for (size_t k = 0; k < parameters.size(); k += stride) {
        const double step = 1e-5, before = parameters[k];
        if (std::isnan(before)) continue;  // padding
        parameters[k] = before + step;
        const double above = ScalarReference<double>(data).loss();
        parameters[k] = before - step;
        const double below = ScalarReference<double>(data).loss();
        parameters[k] = before;
        CHECK(std::abs((above - below) / (2 * step) - gradient[k]) < 1e-7 * (1 + std::abs(gradient[k])));
      }
    };
    check_gradient(data.input, r.grad_input, 3);
    check_gradient(data.ih_first, r.grad_ih_first, 3);
    check_gradient(data.ih, r.grad_ih, 17);
    check_gradient(data.hh, r.grad_hh, 17);
    check_gradient(data.peephole, r.grad_peephole, 3);
    check_gradient(data.bias, r.grad_bias, 5);
    check_gradient(data.h_0, r.grad_h_0, 5);
    check_gradient(data.c_0, r.grad_c_0, 5);
  }
}

TEST_MAIN
