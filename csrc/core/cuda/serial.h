// The serial schedule for layers of at most 32 units (narrow.h): how its work is shared out, and its workspace.
#pragma once
#include <algorithm>

#include "core/cuda/packed.h"

namespace resblock::cuda {

constexpr int serial_warps = 4;              // of a block
constexpr int serial_steps = 10;             // of a chunk: the paper's windows have 9, and four warps fit into 48 KB
constexpr int64_t serial_most_blocks = 528;  // bounds the workspace; four for each multiprocessor of an H100 or H200

RESBLOCK_INLINE int64_t serial_chunks(const Sizes& s) {
  return s.T > serial_steps ? (s.T + serial_steps - 1) / serial_steps : 1;
}

// The number changes no result of the forward pass, and in the backward pass the order of sums: it depends on nothing
// but the sizes.
template <int G>
int64_t serial_blocks(const Sizes& s) {
  return std::clamp<int64_t>((bundles<G>(s) + serial_warps - 1) / serial_warps, 1, serial_most_blocks);
}

// In the backward pass every block has gradients of all weights to itself: fewer blocks where these are large.
template <int G>
int64_t serial_backward_blocks(const Sizes& s) {
  const int64_t most_bytes = int64_t(1) << 28, each = Packed<G>::size(s) * int64_t(sizeof(float4));
  return std::min(serial_blocks<G>(s), std::max<int64_t>(most_bytes / each, 1));
}

// The rows of one warp; those of the block's warps lie side by side.
template <class V>
RESBLOCK_INLINE V* take_rows(Memory& memory, int warp, int rows) {
  return memory.take<V>(serial_warps * rows * warp_lanes) + warp * rows * warp_lanes;
}

// What the lanes remember of each layer between its chunks, (blocks, warps, L, 32).
template <class State>
State* take_between_chunks(Memory& memory, const Sizes& s, const Partition& partition) {
  return memory.take<State>(serial_chunks(s) > 1 ? partition.blocks * serial_warps * s.L * warp_lanes : 0);
}

template <int G>
struct SerialForwardWorkspace {
  Packed<G> packed;
  CellState<float>* states;

  SerialForwardWorkspace(Memory& memory, const Sizes& s, const Partition& partition)
      : packed(memory, s), states(take_between_chunks<CellState<float>>(memory, s, partition)) {}
};

template <int G>
struct SerialBackwardWorkspace {
  Packed<G> packed, gradients;  // gradients: the first of one for each block
  Carry* carries;

  SerialBackwardWorkspace(Memory& memory, const Sizes& s, const Partition& partition)
      : packed(memory, s),
        gradients(memory, s, partition.blocks),
        carries(take_between_chunks<Carry>(memory, s, partition)) {}
};

}  // namespace resblock::cuda
