// The gradients of a layer's weights: dz x^T and dz h[t-1]^T, summed over the rows of a chunk (narrow.h). The matrix
// (G units) x (2 G columns: G of x, G of h[t-1]), four gates in each element, is shared out among the 32 lanes of each
// of panel_warps warps, which sum it in registers.
#pragma once
#include "core/cuda/narrow.h"

namespace resblock::cuda {

constexpr int panel_warps = 4;

template <int G>
struct Panel {
  static constexpr int columns = 2 * G * G / (panel_warps * warp_lanes);  // of a lane: 1, 4 or 16
  static constexpr int lanes_of_x = G / columns;                          // that many lanes cover the columns of x

  int unit, column;  // of the first element
  bool of_h;         // the column is one of h[t-1]
  float4 sum[columns];

  // warp: which of the panel_warps
  __device__ explicit Panel(int warp) {
    const int part = warp * (warp_lanes / G) + int(threadIdx.x) % warp_lanes / G;
    unit = int(threadIdx.x) % G;
    of_h = part >= lanes_of_x;
    column = (of_h ? part - lanes_of_x : part) * columns;
    clear();
  }

  __device__ void clear() {
    RESBLOCK_UNROLL
    for (int k = 0; k < columns; ++k) sum[k] = {0, 0, 0, 0};
  }

  // Rows of 32 lanes: dz (rows, 32), x and h_before (rows, 32).
  __device__ void add(const float4* dz, const float* x, const float* h_before, int rows) {
    const float* source = (of_h ? h_before : x) + column;
    for (int first = 0; first < rows * warp_lanes; first += G) {
      const float4 d = dz[first + unit];
      RESBLOCK_UNROLL
      for (int k = 0; k < columns; ++k) multiply_add(d, source[first + k], sum[k]);
    }
  }

  // Into the gradients of one layer; h: whether the sums over h[t-1] are wanted too.
  __device__ void write(const Packed<G>& gradients, int64_t layer, int64_t tile, bool h, bool replace) const {
    if (of_h && !h) return;
    float4* to = (of_h ? gradients.U(layer) : gradients.W(layer, tile)) + column * G + unit;
    RESBLOCK_UNROLL
    for (int k = 0; k < columns; ++k) {
      float4& element = to[k * G];
      const float4 old = replace ? float4{0, 0, 0, 0} : element;
      element = {old.x + sum[k].x, old.y + sum[k].y, old.z + sum[k].z, old.w + sum[k].w};
    }
  }
};

// The gradients of a unit's bias and peepholes, as one lane has summed them.
struct UnitGradients {
  float4 bias = {0, 0, 0, 0}, peephole = {0, 0, 0, 0};
};

// Adds what `threads` lanes have left in shared memory, in the order of the lanes; called by the first G threads.
template <int G>
__device__ void write_unit_gradients(const UnitGradients* of_lane, int threads, const Packed<G>& gradients,
                                     int64_t layer, bool replace) {
  const int unit = int(threadIdx.x) % G;
  float4 &bias = gradients.bias(layer)[unit], &peephole = gradients.peephole(layer)[unit];
  UnitGradients sum;
  if (!replace) sum = {bias, peephole};
  for (int lane = unit; lane < threads; lane += G) {
    multiply_add(of_lane[lane].bias, 1.f, sum.bias);
    multiply_add(of_lane[lane].peephole, 1.f, sum.peephole);
  }
  bias = sum.bias;
  peephole = sum.peephole;
}

}  // namespace resblock::cuda
