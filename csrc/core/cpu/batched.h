// The schedule of small layers and many sequences: a tile of sequences side by side in the lanes of a vector, every
// weight a scalar that is broadcast. A tile goes through the network in chunks of time, layer after layer.
#pragma once
#include "core/cpu/packed.h"

namespace resblock::cpu {

// How the work is cut. A pure function of the sizes and the instruction set: never of the number of threads.
struct Tiling {
  int64_t lanes;  // sequences of a tile
  int64_t tiles;
  int64_t steps;   // of a chunk of time
  int64_t groups;  // of tiles, whose weight gradients are summed apart and then added in order
};

// Workspaces and gradients are counted in Arithmetic<S>.
template <class S>
struct BatchedKernels {
  using A = Arithmetic<S>;
  int64_t lanes;
  void (*pack_forward)(const Inputs<S>&, int64_t layer, A* packed);
  void (*pack_backward)(const Inputs<S>&, int64_t layer, A* packed);
  int64_t (*forward_weights)(const Sizes&);  // values that pack_forward writes; pack_backward: packed_size
  int64_t (*forward_workspace)(const Sizes&, const Tiling&);
  int64_t (*backward_workspace)(const Sizes&, const Tiling&);
  void (*forward_tile)(const Forward<S>&, const Tiling&, const A* packed, int64_t tile, A* workspace);
  // Sums the weight gradients of the group's tiles into `gradients` (packed_size).
  void (*backward_group)(const Backward<S>&, const Tiling&, const A* packed, int64_t group, A* gradients, A* workspace);
};

}  // namespace resblock::cpu
