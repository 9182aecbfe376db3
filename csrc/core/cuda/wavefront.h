// The wavefront schedule for layers of at most 32 units (narrow.h), for few long sequences: every layer has a block of
// its own, which has its weights in registers, and hands chunk after chunk of time to the block of the next layer:
// T + L steps instead of T * L. L blocks are a pipe; several pipes share the sequences, and a pipe takes its bundles
// one after the other. Neighbours are linked by rings in global memory with two counters each, one of chunks that are
// complete and one of chunks that may be overwritten. All blocks must be resident together: the launch is cooperative.
#pragma once
#include <algorithm>

#include "core/cuda/packed.h"

namespace resblock::cuda {

// Long chunks make the exchange of flags cheap, short ones fill the pipe soon.
RESBLOCK_INLINE int wavefront_steps(const Sizes& s) { return s.T < 4096 ? 8 : 16; }

constexpr int64_t wavefront_most_tiles = 8;  // of the first layer's inputs: they must fit into shared memory

constexpr int wavefront_forward_warps = 2, wavefront_panel_warps = 4;
constexpr int wavefront_backward_warps = 2 + wavefront_panel_warps;

// How many blocks the registers of a multiprocessor have room for, by lanes: the kernels' launch bounds promise it.
constexpr int wavefront_forward_resident(int lanes) { return lanes == 8 ? 10 : lanes == 16 ? 8 : 4; }
constexpr int wavefront_backward_resident(int lanes) { return lanes == 32 ? 1 : 2; }

constexpr int ring_chunks = 4;  // that a ring has room for
constexpr int ring_rows = 2;    // of each step: what the neighbour takes in, and what goes past it over a shortcut
constexpr int link_flags = 2;

// The link from one layer to its neighbour.
struct Link {
  float* ring;    // (ring_chunks, steps, ring_rows, 32)
  int* complete;  // chunks that the writer has completed
  int* consumed;  // chunks that the reader has done with

  __device__ float* chunk(int64_t n, int steps) const {
    return ring + n % ring_chunks * steps * ring_rows * warp_lanes;
  }
};

// The links of all pipes.
struct Links {
  int64_t layers;
  int steps;  // of a chunk
  float* rings;
  int* flags;
  int64_t flag_count;

  Links(Memory& memory, const Sizes& s, const Partition& partition)
      : layers(s.L),
        steps(partition.steps),
        rings(memory.take<float>(partition.pipes * s.L * ring_floats())),
        flags(memory.take<int>(partition.pipes * s.L * link_flags)),
        flag_count(partition.pipes * s.L * link_flags) {}

  RESBLOCK_INLINE int64_t ring_floats() const { return int64_t(ring_chunks) * steps * ring_rows * warp_lanes; }

  // That to which `layer` writes.
  __device__ Link link(int64_t pipe, int64_t layer) const {
    const int64_t index = pipe * layers + layer;
    return {rings + index * ring_floats(), flags + link_flags * index, flags + link_flags * index + 1};
  }
};

// The chunks of a pipe: those of its first bundle, then those of its second, and so on.
template <int G>
struct PipeChunks {
  int64_t pipe, pipes, of_bundle, count;

  __device__ PipeChunks(const Sizes& s, const Partition& partition, int64_t pipe)
      : pipe(pipe),
        pipes(partition.pipes),
        of_bundle((s.T + partition.steps - 1) / partition.steps),
        count((bundles<G>(s) - pipe + pipes - 1) / pipes * of_bundle) {}

  __device__ int64_t bundle(int64_t n) const { return pipe + n / of_bundle * pipes; }
};

// A forward block's shared memory. What one warp leaves to the other is there twice: one of them writes while one
// reads.
struct WavefrontForwardRows {
  float4* z;     // (2, steps, 32)
  float* below;  // (2, steps, 32)  y of the layer below
  float* skip;   // (2, steps, 32)  y of the layer below that
  float* x;      // (steps, 32)     inputs, after dropout
  float* h;      // (2, 32)

  RESBLOCK_INLINE WavefrontForwardRows(Memory& memory, int steps)
      : z(memory.take<float4>(2 * steps * warp_lanes)),
        below(memory.take<float>(2 * steps * warp_lanes)),
        skip(memory.take<float>(2 * steps * warp_lanes)),
        x(memory.take<float>(steps * warp_lanes)),
        h(memory.take<float>(2 * warp_lanes)) {}
};

// A backward block's.
struct WavefrontBackwardRows {
  float4* dz;       // (2, steps, 32)
  float* h_before;  // (2, steps, 32)
  float* dy;        // (2, steps, 32)  gradient of this layer's y
  float* dy_above;  // (2, steps, 32)  and of that of the layer above
  float* x;         // (2, tiles, steps, 32)

  RESBLOCK_INLINE WavefrontBackwardRows(Memory& memory, int steps, int64_t tiles)
      : dz(memory.take<float4>(2 * steps * warp_lanes)),
        h_before(memory.take<float>(2 * steps * warp_lanes)),
        dy(memory.take<float>(2 * steps * warp_lanes)),
        dy_above(memory.take<float>(2 * steps * warp_lanes)),
        x(memory.take<float>(2 * tiles * steps * warp_lanes)) {}
};

// Which of the two a chunk uses.
__device__ __forceinline__ int side(int64_t n, int steps) { return int(n & 1) * steps * warp_lanes; }

template <int G>
struct WavefrontForwardWorkspace {
  Packed<G> packed;
  Links links;

  WavefrontForwardWorkspace(Memory& memory, const Sizes& s, const Partition& partition)
      : packed(memory, s), links(memory, s, partition) {}
};

template <int G>
struct WavefrontBackwardWorkspace {
  Packed<G> packed, gradients;  // gradients: the first of one for each pipe
  Links links;

  WavefrontBackwardWorkspace(Memory& memory, const Sizes& s, const Partition& partition)
      : packed(memory, s), gradients(memory, s, partition.pipes), links(memory, s, partition) {}
};

}  // namespace resblock::cuda
