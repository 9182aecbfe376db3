// The general schedule: one block per sequence, its threads over gates and units, walks time and layers. It takes every
// size, in float64: what the other schedules leave. All that a block remembers between steps lies in the workspace.
#pragma once
#include <algorithm>

#include "core/cuda/cells.h"
#include "core/cuda/launch_kernel.h"
#include "core/cuda/memory.h"

namespace resblock::cuda {

RESBLOCK_INLINE int64_t general_blocks(int64_t tasks) {
  const int64_t most = 4096;  // blocks beyond that take several tasks
  return tasks < most ? tasks : most;
}

inline Shape general_shape(int64_t tasks, int64_t width) {
  const int64_t most_threads = 256;
  return {general_blocks(tasks), int((std::min(width, most_threads) + warp_lanes - 1) / warp_lanes), 0};
}

// A block has the part of each array that its number gives.
struct GeneralForwardWorkspace {
  double *h, *c, *y;  // (blocks, L, H)   y of this step
  double* x;          // (blocks, H)      input of the layer at hand
  double* z;          // (blocks, 4H)

  GeneralForwardWorkspace(Memory& memory, const Sizes& s, const Partition& partition)
      : h(memory.take<double>(partition.blocks * s.L * s.H)),
        c(memory.take<double>(partition.blocks * s.L * s.H)),
        y(memory.take<double>(partition.blocks * s.L * s.H)),
        x(memory.take<double>(partition.blocks * s.H)),
        z(memory.take<double>(partition.blocks * gates_of_cell * s.H)) {}

  RESBLOCK_INLINE void move_to(int64_t block, const Sizes& s) {
    h += block * s.L * s.H;
    c += block * s.L * s.H;
    y += block * s.L * s.H;
    x += block * s.H;
    z += block * gates_of_cell * s.H;
  }
};

// The first kernel leaves to the second what is multiplied into the gradients of the weights. Steps past a sequence's
// length are neither written nor read.
struct GeneralBackwardWorkspace {
  double* dz;            // (L, T, B, 4H)
  double* x;             // (L, T, B, H)  inputs after dropout; the first layer's are the problem's
  double* h_before;      // (L, T, B, H)  h[t-1]
  double *dy, *dh, *dc;  // (blocks, L, H)  gradients of this step's y, and of h[t-1] and c[t-1]

  GeneralBackwardWorkspace(Memory& memory, const Sizes& s, const Partition& partition)
      : dz(memory.take<double>(s.L * s.T * s.B * gates_of_cell * s.H)),
        x(memory.take<double>(s.L * s.T * s.B * s.H)),
        h_before(memory.take<double>(s.L * s.T * s.B * s.H)),
        dy(memory.take<double>(partition.blocks * s.L * s.H)),
        dh(memory.take<double>(partition.blocks * s.L * s.H)),
        dc(memory.take<double>(partition.blocks * s.L * s.H)) {}

  RESBLOCK_INLINE void move_to(int64_t block, const Sizes& s) {
    dy += block * s.L * s.H;
    dh += block * s.L * s.H;
    dc += block * s.L * s.H;
  }
};

__device__ __forceinline__ Peephole<double> peephole_of(const Inputs<double>& p, int64_t layer, int64_t unit) {
  const int64_t H = p.size.H;
  const double* w = p.weights.peephole + layer * peepholes_of_cell * H + unit;
  return {w[0], w[H], w[2 * H]};
}

}  // namespace resblock::cuda
