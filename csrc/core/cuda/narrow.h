// Layers of at most 32 units: a lane per unit, G lanes per sequence, 32 / G sequences side by side in a warp, which is
// their bundle. Time is taken in chunks that lie in shared memory, and what a warp does to a chunk of one layer comes
// in passes, each with its weights in registers:
//
//     forward   project   z = W x + b        for all steps of the chunk
//               recur     the cells, with U h[t-1]
//     backward  recur     the cells' gradients dz, with U^T dz
//               project   dx = W^T dz
//               panels    dz x^T and dz h[t-1]^T, summed over the chunk (panel.h)
//
// In the serial schedule one warp does all of it for its bundle, layer after layer. In the wavefront every layer has
// warps of its own, and the passes of successive chunks overlap.
//
// A row is what the 32 lanes hold at one step. Chunks are rows, one per step.
#pragma once
#include "core/cuda/device.h"
#include "core/cuda/packed.h"

namespace resblock::cuda {

// The place of a thread.
template <int G>
struct Lane {
  int lane, unit, first;    // first: the lane of unit 0 of its sequence
  int64_t sequence, steps;  // steps: for which the sequence runs; 0 where there is no sequence
  bool exists;              // neither unit nor sequence is padding

  template <class S>
  __device__ Lane(const Inputs<S>& p, int64_t bundle)
      : lane(threadIdx.x % warp_lanes),
        unit(lane % G),
        first(lane - unit),
        sequence(bundle * (warp_lanes / G) + lane / G),
        steps(sequence < p.size.B ? running_steps(p, sequence) : 0),
        exists(sequence < p.size.B && unit < p.size.H) {}
};

// Steps t0 .. t0 + steps - 1 of the problem.
struct Chunk {
  int64_t t0;
  int steps;

  __device__ Chunk(int64_t index, int most, int64_t T) : t0(index * most), steps(T - t0 < most ? int(T - t0) : most) {}
};

// The saved activations. What is beyond a sequence's length is neither written nor read.
template <class Gate, class Number>
struct NarrowSaved {
  Gate* gates;  // (L, T, B, H) of i, f, g, o
  Number* c;    // (L, T, B, H)
  Number* y;    // (L, T, B, H)

  __device__ NarrowSaved(Number* saved, const Sizes& s) {
    const int64_t cells = s.L * s.T * s.B * s.H;
    gates = reinterpret_cast<Gate*>(saved);
    c = saved + saved_c * cells;
    y = saved + saved_y * cells;
  }
};

template <int G>
__device__ __forceinline__ int64_t cell_index(const Sizes& s, int64_t layer, int64_t t, const Lane<G>& my) {
  return ((layer * s.T + t) * s.B + my.sequence) * s.H + my.unit;
}

// A number of the problem's states, or of their gradients.
template <class P, int G>
__device__ __forceinline__ float read_state(const P& p, const AnyFloat* states, int64_t layer, const Lane<G>& my) {
  return my.exists ? load(p.type, states, (layer * p.size.B + my.sequence) * p.size.H + my.unit) : 0.f;
}

template <class P, int G>
__device__ __forceinline__ void write_state(const P& p, AnyFloat* states, int64_t layer, const Lane<G>& my,
                                            float value) {
  if (my.exists) store(p.type, states, (layer * p.size.B + my.sequence) * p.size.H + my.unit, value);
}

// The first layer's inputs, G columns of them; 0 where there is none.
template <class P, int G>
__device__ void stage_input(const P& p, const Lane<G>& my, const Chunk& chunk, int64_t tile, float* x) {
  const int64_t column = tile * G + my.unit;
  for (int t = 0; t < chunk.steps; ++t) {
    const int64_t now = chunk.t0 + t;
    const bool is_there = now < my.steps && column < p.size.I;
    x[t * warp_lanes + my.lane] =
        is_there ? load(p.type, p.input, (now * p.size.B + my.sequence) * p.size.I + column) : 0.f;
  }
}

// Whether the lane's sequence begins anew at a step.
template <class P, int G>
__device__ __forceinline__ bool is_reset(const P& p, int64_t t, const Lane<G>& my) {
  return p.resets && t < my.steps && p.resets[t * p.size.B + my.sequence];
}

template <int G>
__device__ __forceinline__ void load_weights(const float4* from, int stride, float4 (&to)[G]) {
  RESBLOCK_UNROLL
  for (int k = 0; k < G; ++k) to[k] = from[k * stride];
}

// (columns, G) -> the weights with which unit `unit` meets its inputs, or those with which all units meet input `unit`.
template <int G>
__device__ __forceinline__ void load_rows(const float4* matrix, int unit, float4 (&to)[G]) {
  load_weights<G>(matrix + unit, G, to);
}
template <int G>
__device__ __forceinline__ void load_columns(const float4* matrix, int unit, float4 (&to)[G]) {
  load_weights<G>(matrix + unit * G, 1, to);
}

__device__ __forceinline__ void multiply_add(const float4& w, float x, float4& sum) {
  sum.x += w.x * x;
  sum.y += w.y * x;
  sum.z += w.z * x;
  sum.w += w.w * x;
}

// sum += W x, where x is the part of a row that belongs to the lane's sequence.
template <int G>
__device__ __forceinline__ void multiply(const float4 (&W)[G], const float* x, float4& sum) {
  RESBLOCK_UNROLL
  for (int k = 0; k < G; k += 4) {
    const float4 v = *reinterpret_cast<const float4*>(x + k);
    multiply_add(W[k], v.x, sum);
    multiply_add(W[k + 1], v.y, sum);
    multiply_add(W[k + 2], v.z, sum);
    multiply_add(W[k + 3], v.w, sum);
  }
}

// (W^T dz)[unit], in four sums: each would wait for itself otherwise.
template <int G>
__device__ __forceinline__ float multiply_transposed(const float4 (&W)[G], const float4* dz) {
  float4 sum = {0, 0, 0, 0};
  RESBLOCK_UNROLL
  for (int k = 0; k < G; ++k) {
    const float4 d = dz[k];
    sum.x += W[k].x * d.x;
    sum.y += W[k].y * d.y;
    sum.z += W[k].z * d.z;
    sum.w += W[k].w * d.w;
  }
  return (sum.x + sum.y) + (sum.z + sum.w);
}

}  // namespace resblock::cuda
