// The schedule of small layers and many sequences: a tile of sequences side by side in the lanes of a vector, every
// weight a scalar that is broadcast. A tile goes through the network in chunks of time, layer after layer.
#pragma once
#include "core/cpu/packed.h"

namespace resblock::cpu {

// How the work is cut: by size and instruction set, but for the segments, which follow the threads. They change no
// number, because the layers of a tile do the same work in the same order however they are cut.
struct Tiling {
  int64_t lanes;  // sequences of a tile
  int64_t tiles;
  int64_t steps;     // of a chunk of time
  int64_t chunks;    // of time
  int64_t groups;    // of tiles, whose weight gradients are summed apart and then added in order
  int64_t segments;  // of the layers: tasks that run side by side where tiles are few
};

// Which task: chunk c of segment s wants chunk c of segment s - 1 and chunk c - 1 of segment s to be done. Backward,
// segments are counted from the last layers and chunks from the end.
struct TilePart {
  int64_t tile, segment, chunk;
};

// Workspaces (of one tile) and gradients (packed_size) are counted in Arithmetic<S>.
template <class S>
struct BatchedKernels {
  using A = Arithmetic<S>;
  int64_t lanes;
  void (*pack_forward)(const Inputs<S>&, int64_t layer, A* packed);
  void (*pack_backward)(const Inputs<S>&, int64_t layer, A* packed);
  int64_t (*forward_weights)(const Sizes&);  // values that pack_forward writes; pack_backward: packed_size
  int64_t (*forward_workspace)(const Sizes&, const Tiling&);
  int64_t (*backward_workspace)(const Sizes&, const Tiling&);
  void (*forward)(const Forward<S>&, const Tiling&, const A* packed, const TilePart&, A* workspace);
  // Adds to the weight gradients, which begin with the first tile.
  void (*backward)(const Backward<S>&, const Tiling&, const A* packed, const TilePart&, bool first_tile, A* gradients,
                   A* workspace);
};

}  // namespace resblock::cpu
