// The passes of the backward direction (narrow.h).
#pragma once
#include "core/cuda/narrow.h"
#include "core/cuda/panel.h"

namespace resblock::cuda {

// What the backward pass of a cell needs to know of it. Before the first step stands the initial state.
struct SavedCell {
  float4 gate;
  float c, initial_h;
  bool initial;

  __device__ float h() const { return initial ? initial_h : gate.w * tanh(c); }
};

template <int G>
__device__ __forceinline__ SavedCell read_cell(const AnyBackward& p,
                                               const NarrowSaved<const float4, const float>& saved, const Lane<G>& my,
                                               int64_t layer, int64_t t) {
  if (t < 0) return {{0, 0, 0, 0}, read_state(p, p.c_0, layer, my), read_state(p, p.h_0, layer, my), true};
  if (!my.exists || t >= my.steps) return {{0, 0, 0, 0}, 0, 0, true};
  const int64_t at = cell_index(p.size, layer, t, my);
  return {saved.gates[at], saved.c[at], 0, false};
}

// The cells of one chunk, backwards. dy: (steps, 32), gradients of y. To dz and h_before, (steps, 32), go the rows that
// the other passes read; where a sequence does not run they are 0.
template <int G>
__device__ __forceinline__ void recur(const AnyBackward& p, const float4 (&U)[G], float4 peephole, const Lane<G>& my,
                                      int64_t layer, const Chunk& chunk, const float* dy, float4* dz, float* h_before,
                                      Carry& carry, UnitGradients& sums) {
  const NarrowSaved<const float4, const float> saved(p.saved, p.size);
  const int64_t last = chunk.t0 + chunk.steps - 1;
  // The cells of the next two steps are on their way while this one is at work.
  SavedCell now = read_cell(p, saved, my, layer, last), before = read_cell(p, saved, my, layer, last - 1);
  for (int t = chunk.steps - 1; t >= 0; --t) {
    const SavedCell ahead = t + chunk.t0 >= 1 ? read_cell(p, saved, my, layer, chunk.t0 + t - 2) : before;
    const bool active = my.exists && chunk.t0 + t < my.steps, reset = is_reset(p, chunk.t0 + t, my);
    const int at = t * warp_lanes + my.lane;
    SavedCell after = before;  // the next step's
    if (reset) before = {{0, 0, 0, 0}, 0, 0, true};
    if (p.grad_cells && active) carry.dc += load(p.type, p.grad_cells, cell_index(p.size, layer, chunk.t0 + t, my));
    Gates<float> d = {0, 0, 0, 0};
    if (active) {
      const Gates<float> gate = {now.gate.x, now.gate.y, now.gate.z, now.gate.w};
      d = cell_backward<float>(p.options, gate, {peephole.x, peephole.y, peephole.w}, before.c, now.c,
                               dy[at] + carry.dh, carry.dc);
      multiply_add({d.i, d.f, d.g, d.o}, 1.f, sums.bias);
      sums.peephole.x += d.i * before.c;
      sums.peephole.y += d.f * before.c;
      sums.peephole.w += d.o * seen_by(gate_o, p.options, before.c, now.c);
    }
    dz[at] = {d.i, d.f, d.g, d.o};
    h_before[at] = active ? before.h() : 0.f;
    __syncwarp();
    const float dh = multiply_transposed(U, dz + t * warp_lanes + my.first);
    if (active) carry.dh = dh;
    if (reset) carry = {0, 0};
    now = after;
    before = ahead;
  }
}

// x (steps, 32): what went into the layer. Of the first layer, G columns of it.
template <int G>
__device__ void stage_x(const AnyBackward& p, uint64_t seed, const Lane<G>& my, int64_t layer, int64_t tile,
                        const Chunk& chunk, float* x) {
  if (layer == 0) return stage_input(p, my, chunk, tile, x);
  const NarrowSaved<const float4, const float> saved(p.saved, p.size);
  for (int t = 0; t < chunk.steps; ++t) {
    const int64_t now = chunk.t0 + t;
    float value = 0;
    if (my.exists && now < my.steps)
      value =
          saved.y[cell_index(p.size, layer - 1, now, my)] * dropout_factor(p, seed, layer, now, my.sequence, my.unit);
    x[t * warp_lanes + my.lane] = value;
  }
}

// One tile of the gradient of the input; W is room for its weights.
template <int G>
__device__ void write_grad_input(const AnyBackward& p, const Packed<G>& packed, const Lane<G>& my, int64_t tile,
                                 const Chunk& chunk, const float4* dz, float4 (&W)[G]) {
  const int64_t column = tile * G + my.unit;
  if (my.sequence >= p.size.B || column >= p.size.I) return;
  load_columns(packed.W(0, tile), my.unit, W);
  for (int t = 0; t < chunk.steps; ++t)
    store(p.type, p.grad_input, ((chunk.t0 + t) * p.size.B + my.sequence) * p.size.I + column,
          multiply_transposed(W, dz + t * warp_lanes + my.first));
}

// Gradients of the layer below: take(t, dx) gets those of its y as far as they come through this layer.
template <int G, class Take>
__device__ __forceinline__ void project_back(const AnyBackward& p, uint64_t seed, const float4 (&W)[G],
                                             const Lane<G>& my, int64_t layer, const Chunk& chunk, const float4* dz,
                                             const Take& take) {
  for (int t = 0; t < chunk.steps; ++t) {
    const float dx = multiply_transposed(W, dz + t * warp_lanes + my.first);
    take(t, dx * dropout_factor(p, seed, layer, chunk.t0 + t, my.sequence, my.unit));
  }
}

// The gradient of the network's output.
template <int G>
__device__ __forceinline__ float read_grad_output(const AnyBackward& p, const Lane<G>& my, int64_t t) {
  const bool is_there = my.exists && t < my.steps;
  return is_there ? load(p.type, p.grad_output, (t * p.size.B + my.sequence) * p.size.H + my.unit) : 0.f;
}

}  // namespace resblock::cuda
