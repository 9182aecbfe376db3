// The wavefront schedule for layers of at most 32 units (narrow.h), for few long sequences: every layer has a block of
// its own, which keeps its weights in registers, and hands chunk after chunk of time to the block of the next layer:
// T + L steps instead of T * L. L blocks are a pipe; several pipes share the sequences, and a pipe takes its bundles
// one after the other. Neighbours are linked by rings in global memory with two counters each, one of chunks that are
// complete and one of chunks that may be overwritten. All blocks must be resident together: the launch is cooperative.
#pragma once
#include <algorithm>

#include "core/cuda/launch_kernel.h"
#include "core/cuda/narrow.h"

namespace resblock::cuda {

// Long chunks make the exchange of flags cheap, short ones fill the pipe soon.
RESBLOCK_INLINE int wavefront_steps(const Sizes& s) { return s.T < 4096 ? 8 : 16; }

constexpr int64_t wavefront_most_tiles = 8;  // of the first layer's inputs: they must fit into shared memory

constexpr int ring_chunks = 4;

// The link from one layer to its neighbour. Each chunk has two rows per step: what the neighbour takes in, and what
// goes past it into a residual addition.
struct Link {
  float* ring;    // (ring_chunks, steps, 2, 32)
  int* complete;  // chunks that the writer has completed
  int* consumed;  // chunks that the reader has done with

  __device__ float* chunk(int64_t turn, int steps) const { return ring + turn % ring_chunks * steps * 2 * warp_lanes; }
};

// Where the work of a launch is cut, and its links.
struct Wave {
  int64_t pipes, layers;
  int steps;  // of a chunk
  float* rings;
  int* flags;

  RESBLOCK_INLINE int64_t ring_floats() const { return int64_t(ring_chunks) * steps * 2 * warp_lanes; }
  RESBLOCK_INLINE int64_t flag_count() const { return pipes * layers * 2; }
  RESBLOCK_INLINE size_t bytes() const {
    return size_t(pipes * layers * ring_floats()) * sizeof(float) + size_t((flag_count() + 3) / 4 * 4) * sizeof(int);
  }

  // That to which `layer` writes.
  __device__ Link link(int64_t pipe, int64_t layer) const {
    const int64_t index = pipe * layers + layer;
    return {rings + index * ring_floats(), flags + 2 * index, flags + 2 * index + 1};
  }
};

// The cuts of the pipes that are to take `blocks` blocks at most; none if not even one fits.
template <int G>
Wave cut_wave(const Sizes& s, int64_t blocks) {
  return {std::min(bundles<G>(s), blocks / s.L), s.L, wavefront_steps(s), nullptr, nullptr};
}

// The chunks of a pipe: those of its first bundle, then those of its second, and so on.
template <int G>
struct Turns {
  int64_t pipe, pipes, chunks, count;

  __device__ Turns(const Sizes& s, const Wave& wave, int64_t pipe)
      : pipe(pipe),
        pipes(wave.pipes),
        chunks((s.T + wave.steps - 1) / wave.steps),
        count((bundles<G>(s) - pipe + pipes - 1) / pipes * chunks) {}

  __device__ int64_t bundle(int64_t turn) const { return pipe + turn / chunks * pipes; }
};

template <class S, int G>
struct WavefrontForward {
  // Of the cut with as many pipes as the device can have resident.
  static Wave cut(const Sizes& s);
  static size_t workspace(const Forward<S>& p);
  static const char* launch(const Forward<S>& p, const Context& context, void* workspace);
};

template <class S, int G>
struct WavefrontBackward {
  static Wave cut(const Sizes& s);
  static size_t workspace(const Backward<S>& p);
  static const char* launch(const Backward<S>& p, const Context& context, void* workspace);
};

}  // namespace resblock::cuda
