// How the tests of the CPU core run a problem, on one schedule after the other, and compare the results. The arguments
// of the program may name one schedule, and say how much is run: full, quick, or few, for sanitizers.
#pragma once
#include <random>

#include "tests/check.h"
#include "tests/cpu_call.h"
#include "tests/grid.h"
#include "tests/parts.h"
#include "tests/scalar_reference.h"
#include "tests/threads.h"

using namespace resblock;

// A schedule, or the planner's choice.
using Wanted = std::optional<cpu::Schedule>;

// All of them, or the one that is named on the command line.
inline std::vector<Wanted> schedules() {
  std::vector<Wanted> all = {std::nullopt};
  if (check::is_argument("by_size")) return all;
  for (size_t k = 0; k < std::size(cpu::schedule_names); ++k) {
    if (check::is_argument(cpu::schedule_names[k])) return {cpu::Schedule(k)};
    all.push_back(cpu::Schedule(k));
  }
  return all;
}

inline bool is_quick() { return !check::is_argument("full"); }
inline bool is_few() { return check::is_argument("few"); }

template <class S>
bool trains(const ProblemData<S>& data, const Wanted& schedule) {
  try {
    CpuCall{schedule}.saved_values(data.inputs());
    return true;
  } catch (const std::invalid_argument&) {
    return false;
  }
}

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
    if (trains(data, schedule)) check_close(run(data, {schedule}), expected, growth, what);
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
      if (trains(data, schedule)) check_same_bits(run(data, parallel), run(data, {schedule}), what);
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
  if (!trains(data, schedule)) return;
  const Results<S> expected = run(data, call);
  Results<S> found(data.size), unwanted(data.size);
  for (Results<S>* to : {&found, &unwanted}) {
    to->saved.resize(expected.saved.size());
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
template <class Number, class S>
std::vector<Number> packed(const std::vector<Number>& padded, const ProblemData<S>& data) {
  const Sizes& s = data.size;
  const auto sequences = cpu::LongestFirst::of_lengths(data.lengths.data(), s.B, 0, s.T);
  Inputs<S> p = data.inputs();
  sequences.apply(p);
  std::vector<Number> rows;
  const int64_t all = s.T * s.B, width = all ? int64_t(padded.size()) / all : 0;
  for (int64_t t = 0; t < s.T; ++t)
    for (int64_t place = 0; place < s.B && t < p.lengths[place]; ++place) {
      const Number* row = padded.data() + (t * s.B + sequence_at(p, place)) * width;
      rows.insert(rows.end(), row, row + width);
    }
  return rows;
}

// Of arrays that have such rows for each layer.
template <class S>
std::vector<S> packed_by_layer(const std::vector<S>& padded, const ProblemData<S>& data) {
  std::vector<S> rows;
  const auto each = std::ptrdiff_t(data.size.T * data.size.B * data.size.H);
  for (auto layer = padded.begin(); layer != padded.end(); layer += each) {
    const std::vector<S> of_layer = packed(std::vector<S>(layer, layer + each), data);
    rows.insert(rows.end(), of_layer.begin(), of_layer.end());
  }
  return rows;
}

template <class S>
void compare_packed(const Case& c, const Wanted& schedule) {
  const CpuCall call = {schedule};
  const ProblemData<S> data(c.size, c.variant, c.seed);
  const std::string what = "packed " + about(data, c.variant, schedule);
  const bool training = trains(data, schedule);
  if (!training && !infers(data, schedule)) return;
  Results<S> expected = training ? run(data, call) : run_inference(data, call), found(data.size);
  const std::vector<S> input = packed(data.input, data), grad_output = packed(data.grad_output, data);
  const std::vector<S> grad_cells = packed_by_layer(data.grad_cells, data);
  const std::vector<uint8_t> resets = packed(data.resets, data);
  found.saved.resize(expected.saved.size());
  Forward<S> forward = data.forward(found, training);
  if (forward.resets) forward.resets = reinterpret_cast<const bool*>(resets.data());
  forward.packed = true;
  forward.input = input.data();
  call(forward);
  expected.output = packed(expected.output, data);
  found.output.resize(expected.output.size());
  expected.cells = packed_by_layer(expected.cells, data);
  found.cells.resize(expected.cells.size());
  if (training) {
    Backward<S> backward = data.backward(found);
    static_cast<Inputs<S>&>(backward) = forward;
    backward.grad_output = grad_output.data();
    if (backward.grad_cells) backward.grad_cells = grad_cells.data();
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

// The reference itself, against central differences of its loss.
inline void check_gradients_of_reference(const Variant& of) {
  ProblemData<double> data({4, 3, 2, 3, 6}, of);
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
