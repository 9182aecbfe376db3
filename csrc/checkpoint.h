// Training in little memory: time is split into chunks, the forward pass saves the states between them only, and the
// backward pass runs each chunk again, the last one first. Between chunks everything is in the type that is computed
// in, so that half types are not rounded there. Nothing here depends on the device or the schedule.
#pragma once
#include <algorithm>

#include "passes.h"

namespace resblock {

// Chunk k has the steps from k T / count to (k + 1) T / count.
struct Chunks {
  Arguments whole;  // weights and states as the kernels take them, the input in its own type
  int64_t count;

  Chunks(const Arguments& a, int64_t wanted) : whole(a), count(std::max<int64_t>(std::min(wanted, a.size.T), 1)) {
    whole.convert_weights_and_states(a.arithmetic_type(), !a.has_matrices_in_bfloat16());
  }

  int64_t first_step(int64_t chunk) const { return chunk * whole.size.T / count; }
  int64_t steps(int64_t chunk) const { return first_step(chunk + 1) - first_step(chunk); }

  // h and c of all layers after each chunk but the last.
  Shape states_shape() const { return {count - 1, 2, whole.size.L, whole.size.B, whole.size.H}; }

  Tensor view(Tensor over_time, int64_t chunk, int64_t dimension = 0) const {
    const auto row = [&](int64_t step) { return whole.batch_sizes ? whole.ragged->rows_before(step) : step; };
    const int64_t first = row(first_step(chunk));
    return torch::stable::narrow(over_time, dimension, first, row(first_step(chunk + 1)) - first);
  }

  // The chunk's part of an array over time in the arithmetic type: a view where that is the array's own, else a copy,
  // which `put` writes back.
  Tensor part(const Tensor& over_time, int64_t chunk) const {
    return torch::stable::to(view(over_time, chunk), whole.arithmetic_type());
  }
  void put(const Tensor& part, const Tensor& over_time, int64_t chunk) const {
    if (part.scalar_type() == over_time.scalar_type()) return;
    Tensor to = view(over_time, chunk);
    torch::stable::copy_(to, part);
  }

  Arguments arguments(int64_t chunk, const Tensor& h_0, const Tensor& c_0) const {
    Arguments a = whole;
    a.input = part(whole.input, chunk);
    a.size.T = steps(chunk);
    a.options.first_step = first_step(chunk);
    a.h_0 = h_0;
    a.c_0 = c_0;
    if (a.ragged)
      a.ragged = std::make_shared<const cpu::LongestFirst>(whole.ragged->part(a.options.first_step, a.size.T));
    if (a.resets) {
      a.resets = view(*whole.resets, chunk);
      a.cut_sequences();
    }
    return a;
  }

  // The chunk's part of c of every step, in the arithmetic type and dense.
  Tensor cells(const Tensor& whole_cells, int64_t chunk) const {
    return made_contiguous(converted(view(whole_cells, chunk, 1), whole.arithmetic_type()));
  }
};

inline Tensor state_after(const Tensor& states, int64_t chunk, int64_t h_or_c) {
  return torch::stable::select(torch::stable::select(states, 0, chunk), 0, h_or_c);
}

// Refuses a schedule that the backward pass could not run each chunk on.
template <class Device>
void check_schedule(const Chunks& chunks) {
  for (int64_t k = 0; k < chunks.count; ++k) {
    const Arguments a = chunks.arguments(k, chunks.whole.h_0, chunks.whole.c_0);
    dispatch<Device::stores_halves>(a.input.scalar_type(),
                                    [&](auto type) { Device::template training<decltype(type)>(a); });
  }
}

// Fills `states`; gives h_n and c_n in the arithmetic type, as new tensors.
template <class Device>
void forward_in_chunks(const Chunks& chunks, const ForwardResults& results, const Tensor& states) {
  const Arguments& whole = chunks.whole;
  if (whole.schedule) check_schedule<Device>(chunks);
  Tensor h = whole.h_0, c = whole.c_0;
  for (int64_t k = 0; k < chunks.count; ++k) {
    const bool last = k + 1 == chunks.count;
    const Arguments a = chunks.arguments(k, h, c);
    h = last ? a.empty(shape_of(h)) : state_after(states, k, 0);
    c = last ? a.empty(shape_of(c)) : state_after(states, k, 1);
    const Tensor output = chunks.part(results.output, k);
    const std::optional<Tensor> cells = empty_cells(a);
    inference_pass<Device>(a, {output, h, c, cells});
    chunks.put(output, results.output, k);
    if (!cells) continue;
    Tensor to = chunks.view(*results.cells, k, 1);
    torch::stable::copy_(to, *cells);
  }
  Tensor h_n = results.h_n, c_n = results.c_n;
  torch::stable::copy_(h_n, h);
  torch::stable::copy_(c_n, c);
}

// total += part. The stable interface has a subtraction but no addition. Those that are not wanted are empty.
inline void accumulate(WeightGradients& total, const WeightGradients& part) {
  for (size_t k = 0; k < total.size(); ++k) total[k] = torch::stable::subtract(total[k], part[k], -1);
}

template <class Device>
InputGradients backward_in_chunks(const Chunks& chunks, const OutputGradients& of, const Tensor& states,
                                  Wanted wanted) {
  const Arguments& whole = chunks.whole;
  const ScalarType storage = whole.input.scalar_type(), arithmetic = whole.arithmetic_type();
  const Tensor grad_input = whole.empty(shape_of(whole.input));
  Tensor grad_h = torch::stable::to(of.h_n, arithmetic), grad_c = torch::stable::to(of.c_n, arithmetic);
  WeightGradients total;
  for (int64_t k = chunks.count - 1; k >= 0; --k) {
    const Arguments a = k ? chunks.arguments(k, state_after(states, k - 1, 0), state_after(states, k - 1, 1))
                          : chunks.arguments(k, whole.h_0, whole.c_0);
    const Tensor saved = training_pass<Device>(a, empty_results(a));
    const InputGradients to = {chunks.part(grad_input, k), empty_weights(a, wanted), a.empty(shape_of(a.h_0)),
                               a.empty(shape_of(a.c_0))};
    OutputGradients of_chunk = {chunks.part(of.output, k), grad_h, grad_c, std::nullopt};
    if (of.cells) of_chunk.cells = chunks.cells(*of.cells, k);
    backward_pass<Device>(a, of_chunk, saved, to);
    chunks.put(to.input, grad_input, k);
    if (k + 1 == chunks.count)
      total = to.weights;
    else
      accumulate(total, to.weights);
    grad_h = to.h_0;
    grad_c = to.c_0;
  }
  for (Tensor& gradient : total) gradient = torch::stable::to(gradient, storage);
  return {grad_input, total, torch::stable::to(grad_h, storage), torch::stable::to(grad_c, storage)};
}

}  // namespace resblock
