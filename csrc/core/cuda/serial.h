// The serial schedule for layers of at most 32 units (narrow.h): how the work is cut, and its launches.
#pragma once
#include <algorithm>

#include "core/cuda/launch.h"
#include "core/cuda/narrow.h"

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

template <class S, int G>
struct SerialForward {
  static size_t workspace(const Forward<S>& p) {
    const int64_t states =
        serial_chunks(p.size) > 1 ? serial_blocks<G>(p.size) * serial_warps * p.size.L * warp_lanes : 0;
    return size_t(Packed<G>::size(p.size)) * sizeof(float4) + size_t(states) * sizeof(CellState<float>);
  }
  static const char* launch(const Forward<S>& p, const Context& context, void* workspace);
};

template <class S, int G>
struct SerialBackward {
  static size_t workspace(const Backward<S>& p);
  static const char* launch(const Backward<S>& p, const Context& context, void* workspace);
};

}  // namespace resblock::cuda
