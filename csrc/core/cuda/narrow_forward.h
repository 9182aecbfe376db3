// The passes of the forward direction (narrow.h).
#pragma once
#include "core/cuda/narrow.h"

namespace resblock::cuda {

// z = W x + b, or z += W x for the later tiles of the first layer.
template <int G>
__device__ void project(const float4 (&W)[G], float4 bias, bool first_tile, const float* x, int steps,
                        const Lane<G>& my, float4* z) {
  for (int t = 0; t < steps; ++t) {
    float4 sum = first_tile ? bias : z[t * warp_lanes + my.lane];
    multiply(W, x + t * warp_lanes + my.first, sum);
    z[t * warp_lanes + my.lane] = sum;
  }
}

// Makes the rows that a layer's W meets: of the first layer one tile of the input, of the others `below`, the rows of
// the layer below, after dropout. They are in x, which has room for them, unless `below` will do.
template <int G>
__device__ const float* input_rows(const AnyForward& p, uint64_t seed, const Lane<G>& my, int64_t layer, int64_t tile,
                                   const Chunk& chunk, const float* below, float* x) {
  __syncwarp();  // `below` is complete, and nobody reads the x before any more
  if (layer > 0 && p.options.dropout <= 0) return below;
  if (layer == 0) stage_input(p, my, chunk, tile, x);
  for (int t = 0; layer > 0 && t < chunk.steps; ++t) {
    const float factor = dropout_factor(p, seed, layer, chunk.t0 + t, my.sequence, my.unit);
    x[t * warp_lanes + my.lane] = below[t * warp_lanes + my.lane] * factor;
  }
  __syncwarp();
  return x;
}

// z = W x + b for one chunk, tile by tile; W is room for the weights of a tile.
template <int G>
__device__ void project_tiles(const AnyForward& p, uint64_t seed, const Packed<G>& packed, const Lane<G>& my,
                              int64_t layer, const Chunk& chunk, const float* below, float* x, float4* z,
                              float4 (&W)[G]) {
  const float4 bias = packed.bias(layer)[my.unit];
  for (int64_t tile = 0; tile < Packed<G>::tiles(p.size, layer); ++tile) {
    load_rows(packed.W(layer, tile), my.unit, W);
    const float* rows = input_rows(p, seed, my, layer, tile, chunk, below, x);
    project(W, bias, tile == 0, rows, chunk.steps, my, z);
  }
}

// Runs the cells of one chunk: visit(t, gates, state, active) sees each. h is room for two rows.
template <int G, class Visit>
__device__ __forceinline__ void recur(const AnyForward& p, const float4 (&U)[G], float4 peephole, const float4* z,
                                      float* h, const Lane<G>& my, const Chunk& chunk, CellState<float>& state,
                                      const Visit& visit) {
  for (int t = 0; t < chunk.steps; ++t) {
    if (is_reset(p, chunk.t0 + t, my)) state = {0, 0};
    float* row = h + (t & 1) * warp_lanes;
    row[my.lane] = state.h;
    __syncwarp();
    float4 sum = z[t * warp_lanes + my.lane];
    multiply(U, row + my.first, sum);
    Gates<float> gate = {sum.x, sum.y, sum.z, sum.w};
    const CellState<float> now = cell_forward<float>(p.options, gate, {peephole.x, peephole.y, peephole.w}, state.c);
    const bool active = chunk.t0 + t < my.steps;
    if (active) state = now;
    visit(t, gate, state, active);
  }
}

// What a cell leaves behind: its saved values, and the last layer's output.
template <int G>
__device__ __forceinline__ void write_cell(const AnyForward& p, const Lane<G>& my, int64_t layer, int64_t t,
                                           const Gates<float>& gate, float c, float y, bool active) {
  if (!my.exists) return;
  if (layer + 1 == p.size.L) store(p.type, p.output, (t * p.size.B + my.sequence) * p.size.H + my.unit, y);
  if (p.cells) store(p.type, p.cells, cell_index(p.size, layer, t, my), active ? c : 0.f);
  if (!p.saved || !active) return;
  const NarrowSaved<float4, float> saved(p.saved, p.size);
  const int64_t at = cell_index(p.size, layer, t, my);
  saved.gates[at] = {gate.i, gate.f, gate.g, gate.o};
  saved.c[at] = c;
  saved.y[at] = y;
}

}  // namespace resblock::cuda
