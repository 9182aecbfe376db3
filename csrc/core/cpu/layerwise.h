// The general schedule: a block of sequences goes through the network in chunks of time, layer after layer.
// In a chunk the products with the inputs of a layer are one matrix product, the recurrence is one small product
// and the cell per step. It takes every size; what it needs of memory does not grow with T.
#pragma once
#include "core/problem.h"

namespace resblock::cpu {

// How the work is cut. A pure function of the sizes: never of the number of threads.
struct Blocking {
  int64_t sequences;  // of a block
  int64_t blocks;
  int64_t steps;   // of a chunk of time
  int64_t groups;  // of blocks, whose weight gradients are summed apart and then added in order
};

Blocking layerwise_blocking(const Sizes& size);

// Weights, in the order and type the kernels want; also the shape of one group's weight gradients.
struct PackedLayer {
  int64_t ih, hh, bias, peephole;  // offsets
  int64_t inputs;                  // I or H
};

RESBLOCK_INLINE PackedLayer packed_layer(const Sizes& s, int64_t layer) {
  const int64_t later = 4 * s.H * (2 * s.H + 1) + 3 * s.H, first = later + 4 * s.H * (s.I - s.H);
  const int64_t inputs = layer ? s.H : s.I, ih = layer ? first + (layer - 1) * later : 0;
  const int64_t hh = ih + 4 * s.H * inputs, bias = hh + 4 * s.H * s.H;
  return {ih, hh, bias, bias + 4 * s.H, inputs};
}

RESBLOCK_INLINE int64_t packed_size(const Sizes& s) { return packed_layer(s, s.L).ih; }

// One table per instruction set. Workspaces and gradients are counted in Arithmetic<S>.
template <class S>
struct LayerwiseKernels {
  using A = Arithmetic<S>;
  void (*pack_forward)(const Inputs<S>&, int64_t layer, A* packed);
  void (*pack_backward)(const Inputs<S>&, int64_t layer, A* packed);
  int64_t (*forward_workspace)(const Sizes&, const Blocking&);
  int64_t (*backward_workspace)(const Sizes&, const Blocking&);
  void (*forward_block)(const Forward<S>&, const Blocking&, const A* packed, int64_t block, A* workspace);
  // Sums the weight gradients of the group's blocks into `gradients` (packed_size).
  void (*backward_group)(const Backward<S>&, const Blocking&, const A* packed, int64_t group, A* gradients,
                         A* workspace);
  // Adds the groups' gradients (groups, packed_size) of one layer in order, in place, and stores the sum.
  void (*reduce)(const Backward<S>&, const Blocking&, A* gradients, int64_t layer);
};

}  // namespace resblock::cpu
