// The CPU core against the scalar reference, over the grid. RESBLOCK_ISA says which instruction set; the arguments may
// name one schedule, and say how much is run: full, quick, or few, for sanitizers.
#include <random>

#include "tests/check.h"
#include "tests/cpu_call.h"
#include "tests/grid.h"
#include "tests/parts.h"
#include "tests/scalar_reference.h"
#include "tests/threads.h"

namespace {

using namespace resblock;

// A schedule, or the planner's choice.
using Wanted = std::optional<cpu::Schedule>;

// All of them, or the one that is named on the command line.
std::vector<Wanted> schedules() {
  std::vector<Wanted> all = {std::nullopt};
  if (check::is_argument("by_size")) return all;
  for (size_t k = 0; k < std::size(cpu::schedule_names); ++k) {
    if (check::is_argument(cpu::schedule_names[k])) return {cpu::Schedule(k)};
    all.push_back(cpu::Schedule(k));
  }
  return all;
}

bool is_quick() { return !check::is_argument("full"); }
bool is_few() { return check::is_argument("few"); }

bool trains(const Wanted& schedule) { return schedule != cpu::Schedule::wavefront; }

template <class S>
bool infers(const ProblemData<S>& data, const Wanted& schedule) {
  try {
    CpuCall{schedule}.inference(data.inputs());
    return true;
  } catch (const std::invalid_argument&) {
    return false;
  }
}

template <class S>
Results<S> run(const ProblemData<S>& data, const CpuCall& call) {
  Results<S> r(data.size);
  r.saved.resize(size_t(call.saved_values(data.inputs())));  // not one more
  call(data.forward(r));
  call(data.backward(r));
  return r;
}

// The forward pass alone, which may take another schedule than before a backward pass.
template <class S>
Results<S> run_inference(const ProblemData<S>& data, const CpuCall& call) {
  Results<S> r(data.size);
  call(data.forward(r, false));
  return r;
}

template <class S>
std::string about(const ProblemData<S>& data, const Variant& variant, const Wanted& schedule) {
  return (schedule ? cpu::schedule_names[int(*schedule)] : "by size") + (" " + describe(data.size, variant));
}

template <class S>
void compare_with_reference(const Case& c) {
  const ProblemData<S> data(c.size, c.variant, c.seed);
  const Results<double> expected = ScalarReference<S>(data).forward_and_backward();
  const double growth = 96 + 4 * double(c.size.L);
  for (const Wanted& schedule : schedules()) {
    const std::string what = about(data, c.variant, schedule);
    if (trains(schedule)) check_close(run(data, {schedule}), expected, growth, what);
    if (infers(data, schedule))
      check_close(run_inference(data, {schedule}), expected, growth, "inference " + what, 1, Arrays::of_inference);
  }
}

template <class S>
void compare_threads(const Case& c) {
  const ProblemData<S> data(c.size, c.variant, c.seed);
  for (const Wanted& schedule : schedules()) {
    const std::string what = about(data, c.variant, schedule);
    for (int count : {2, 3}) {
      Threads threads{count};
      const CpuCall parallel = {schedule, {&threads, count, Threads::run}};
      if (trains(schedule)) check_same_bits(run(data, parallel), run(data, {schedule}), what);
      if (infers(data, schedule))
        check_same_bits(run_inference(data, parallel), run_inference(data, {schedule}), "inference " + what);
    }
  }
}

// Null for states and for gradients of the last ones stands for zeros, for gradients of the first ones: not wanted.
template <class S>
void compare_without_states(const Case& c, const Wanted& schedule) {
  const CpuCall call = {schedule};
  const std::string what = about(ProblemData<S>(c.size, c.variant), c.variant, schedule);
  ProblemData<S> data(c.size, c.variant, c.seed);
  for (auto* states : {&data.h_0, &data.c_0, &data.grad_h_n, &data.grad_c_n})
    std::fill(states->begin(), states->end(), S{});
  if (infers(data, schedule)) {
    Results<S> alone(data.size);
    Forward<S> forward = data.forward(alone, false);
    forward.h_0 = forward.c_0 = nullptr;
    call(forward);
    check_same_bits(alone, run_inference(data, call), "inference " + what);
  }
  if (!trains(schedule)) return;
  const Results<S> expected = run(data, call);
  Results<S> found(data.size), unwanted(data.size);
  for (Results<S>* to : {&found, &unwanted}) {
    Forward<S> forward = data.forward(*to);
    forward.h_0 = forward.c_0 = nullptr;
    call(forward);
    Backward<S> backward = data.backward(*to);
    backward.h_0 = backward.c_0 = backward.grad_h_n = backward.grad_c_n = nullptr;
    if (to == &unwanted) backward.grad_h_0 = backward.grad_c_0 = nullptr;
    call(backward);
  }
  check_same_bits(found, expected, what);
  unwanted.grad_h_0 = expected.grad_h_0, unwanted.grad_c_0 = expected.grad_c_0;
  check_same_bits(unwanted, expected, "states' gradients not wanted " + what);
}

// The rows of running sequences only, the longest first, step after step.
template <class S>
std::vector<S> packed(const std::vector<S>& padded, const ProblemData<S>& data) {
  const Sizes& s = data.size;
  const auto sequences = cpu::LongestFirst::of_lengths(data.lengths.data(), s.B, 0, s.T);
  Inputs<S> p = data.inputs();
  sequences.apply(p);
  std::vector<S> rows;
  const int64_t all = s.T * s.B, width = all ? int64_t(padded.size()) / all : 0;
  for (int64_t t = 0; t < s.T; ++t)
    for (int64_t place = 0; place < s.B && t < p.lengths[place]; ++place) {
      const S* row = padded.data() + (t * s.B + sequence_at(p, place)) * width;
      rows.insert(rows.end(), row, row + width);
    }
  return rows;
}

template <class S>
void compare_packed(const Case& c, const Wanted& schedule) {
  const CpuCall call = {schedule};
  const ProblemData<S> data(c.size, c.variant, c.seed);
  const std::string what = "packed " + about(data, c.variant, schedule);
  const bool training = trains(schedule);
  if (!training && !infers(data, schedule)) return;
  Results<S> expected = training ? run(data, call) : run_inference(data, call), found(data.size);
  const std::vector<S> input = packed(data.input, data), grad_output = packed(data.grad_output, data);
  Forward<S> forward = data.forward(found, training);
  forward.packed = true;
  forward.input = input.data();
  call(forward);
  expected.output = packed(expected.output, data);
  found.output.resize(expected.output.size());
  if (training) {
    Backward<S> backward = data.backward(found);
    static_cast<Inputs<S>&>(backward) = forward;
    backward.grad_output = grad_output.data();
    call(backward);
    expected.grad_input = packed(expected.grad_input, data);
    found.grad_input.resize(expected.grad_input.size());
  }
  found.saved = expected.saved;
  check_same_bits(found, expected, what);
}

// Null for gradients of weights: not wanted.
template <class S>
void compare_with_frozen_weights(const Case& c, const Wanted& schedule) {
  const CpuCall call = {schedule};
  const ProblemData<S> data(c.size, c.variant, c.seed);
  Results<S> expected(data.size);
  call(data.forward(expected));
  const std::vector<decltype(&Weights<S>::ih)> weights = {&Weights<S>::ih_first, &Weights<S>::ih, &Weights<S>::hh,
                                                          &Weights<S>::peephole, &Weights<S>::bias};
  const Results<S> saved = expected;
  call(data.backward(expected));
  for (unsigned frozen = 1; frozen < 32; frozen = frozen * 2 + 1 + frozen % 3) {
    Results<S> found = saved;
    Backward<S> backward = data.backward(found);
    for (size_t k = 0; k < weights.size(); ++k)
      if (frozen >> k & 1) backward.grad_weights.*weights[k] = nullptr;
    call(backward);
    std::vector<S>* of[] = {&found.grad_ih_first, &found.grad_ih, &found.grad_hh, &found.grad_peephole,
                            &found.grad_bias};
    const std::vector<S>* wanted[] = {&expected.grad_ih_first, &expected.grad_ih, &expected.grad_hh,
                                      &expected.grad_peephole, &expected.grad_bias};
    for (size_t k = 0; k < weights.size(); ++k)
      if (frozen >> k & 1) *of[k] = *wanted[k];
    check_same_bits(found, expected, "frozen " + std::to_string(frozen) + " " + about(data, c.variant, schedule));
  }
}

}  // namespace

TEST(instruction_set_is_not_above_the_wanted) {
  const std::string found = cpu::name(cpu::processor_isa());
  printf("instruction set: %s\n", found.c_str());
  const char* wanted = getenv("RESBLOCK_ISA");
  if (wanted && found != "portable") CHECK(found <= std::string(wanted));
}

TEST(results_agree_with_the_scalar_reference) {
  for (const Case& c : grid(is_quick(), is_quick() ? 1 : 2)) {
    compare_with_reference<float>(c);
    compare_with_reference<double>(c);
  }
}

TEST(long_sequences_agree_with_the_scalar_reference) {
  for (unsigned bits = 0; bits < 16; bits += is_few() ? 5 : 1) {
    compare_with_reference<float>({{300, 2, 5, 8, 5}, variant(bits), 1});
    compare_with_reference<double>({{70, 40, 5, 3, 4}, variant(bits), 1});
    compare_with_reference<float>({{600, 1, 3, std::vector<int64_t>{2, 7, 13, 20}[bits / 4], 17}, variant(bits), 1});
    compare_with_reference<float>({{bits + 1, 2, 5, 32, 4}, variant(bits), 1});
  }
}

TEST(wide_layers_agree_with_the_scalar_reference) {
  compare_with_reference<float>({{3, 20, 40, 264, 2}, variant(9), 1});  // weights packed layer by layer
  compare_with_reference<float>({{1, 7, 300, 257, 2}, variant(2), 1});  // weights and gradients in place
  if (is_few()) return;
  compare_with_reference<double>({{10, 60, 6, 260, 1}, variant(11), 1});  // weights beyond the second-level cache
  compare_with_reference<float>({{3, 5, 70, 130, 2}, variant(2), 1});
  compare_with_reference<double>({{3, 5, 70, 130, 2}, variant(13), 1});
  compare_with_reference<float>({{1, 3, 300, 257, 2}, variant(6), 1});
}

TEST(a_part_of_a_longer_problem_knows_where_it_begins) {
  for (const Wanted& schedule : schedules())
    for (unsigned bits = 8; trains(schedule) && bits < 16; ++bits)
      for (int64_t B : {1, 20}) {
        const CpuCall call = {schedule};
        check_parts(ProblemData<float>({31, B, 3, 6 + 13 * (bits & 1), 5}, variant(bits), bits), 12, call, call);
      }
}

TEST(a_schedule_that_does_not_take_the_problem_is_refused) {
  const CpuCall wavefront = {cpu::Schedule::wavefront};
  const auto refuses = [&](const Sizes& size, double dropout, bool training) {
    const Inputs<float> p = {size, {dropout, 1, true, false}, nullptr, {}, nullptr, nullptr, nullptr};
    try {
      training ? void(wavefront.training(p)) : void(wavefront.inference(p));
    } catch (const std::invalid_argument& error) {
      return std::string(error.what()).find("'wavefront'") != std::string::npos;
    }
    return false;
  };
  CHECK(!refuses({5, 1, 3, 4, 2}, 0, false));
  CHECK(refuses({5, 1, 3, 4, 2}, 0, true));
  CHECK(refuses({5, 1, 3, 4, 2}, 0.5, false));
  CHECK(refuses({5, 1, 3, 33, 2}, 0, false));
}

TEST(as_much_is_saved_as_sequences_run) {
  ProblemData<float> data({100, 40, 3, 8, 5}, variant(8));
  std::fill(data.lengths.begin(), data.lengths.end(), 7);
  data.lengths[17] = 90;
  const int64_t rows = 39 * 7 + 90, of_row = 5 * saved_of_cell * 8;
  CHECK(CpuCall{cpu::Schedule::layerwise}.saved_values(data.inputs()) == rows * of_row);
  // The lanes beside the long sequence stay busy to its end.
  const int64_t batched = CpuCall{cpu::Schedule::batched}.saved_values(data.inputs()) / of_row, lanes = 16;
  CHECK(batched >= rows && batched <= rows + 83 * (lanes - 1));
}

TEST(results_do_not_depend_on_the_number_of_threads) {
  for (const Case& c : grid(true, 1)) {
    if (is_few() && !is_small(c)) continue;
    compare_threads<float>(c);
    if (is_small(c)) compare_threads<double>(c);
  }
  if (is_few()) {
    compare_threads<float>({{5, 35, 18, 8, 4}, variant(15), 1});  // several tiles and blocks
    compare_threads<float>({{2, 9, 40, 264, 2}, variant(3), 1});  // products that threads share
    compare_threads<float>({{600, 2, 18, 8, 7}, variant(3), 1});  // segments of layers beside each other
    return;
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
    for (unsigned bits : {2u, 13u})
      for (const Wanted& schedule : schedules()) {
        compare_without_states<float>({size, variant(bits), 1}, schedule);
        compare_without_states<double>({size, variant(bits), 1}, schedule);
      }
}

TEST(packed_rows_give_the_same) {
  for (const Sizes& size :
       {Sizes{7, 35, 5, 8, 4}, Sizes{9, 2, 5, 6, 3}, Sizes{4, 16, 18, 8, 2}, Sizes{30, 21, 5, 33, 2},
        Sizes{40, 9, 3, 17, 3}, Sizes{300, 3, 3, 4, 9}, Sizes{3, 9, 40, 264, 2}})
    for (unsigned bits : {8u, 10u, 15u})
      for (const Wanted& schedule : schedules()) {
        compare_packed<float>({size, variant(bits), 3}, schedule);
        compare_packed<double>({size, variant(bits), 4}, schedule);
      }
}

TEST(frozen_weights_change_no_other_gradient) {
  for (const Sizes& size :
       {Sizes{7, 35, 5, 8, 4}, Sizes{3, 2, 5, 6, 1}, Sizes{20, 40, 5, 33, 2}, Sizes{3, 9, 40, 264, 2}})
    for (unsigned bits : {2u, 13u})
      for (const Wanted& schedule : schedules())
        if (trains(schedule)) compare_with_frozen_weights<float>({size, variant(bits), 1}, schedule);
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
