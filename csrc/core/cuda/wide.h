// The wide schedule: for layers of more units than a warp has lanes. Layer after layer, all that does not hang on the
// step before is one matrix product over all steps, by the caller's library, in the storage type; what remains is one
// kernel per layer whose blocks are resident together. Each block has some units of the layer: it keeps their recurrent
// weights in shared memory for all steps, and after each step gives its part to all others, through global memory and a
// counter; types of 16 bits take tensor cores for it (wide_tensor.h). Where the weights do not fit, each step is a
// matrix product by the library and a small kernel. Both directions save as the general schedule does.
#pragma once
#include <algorithm>

#include "core/cuda/launch_kernel.h"
#include "core/cuda/layer_inputs.h"

namespace resblock::cuda {

constexpr int wide_warps = 8;
constexpr int wide_threads = wide_warps * warp_lanes;
constexpr int wide_parts = 8;  // into which a sum over units is cut among threads

// Four numbers that are read together: the gates of a unit, or four sequences.
template <class A>
struct alignas(16) Quad {
  A of[4];
};

// How a layer is shared out: unit_blocks x units of each >= H, and on tensor cores sequences as well. No blocks: the
// device cannot have them resident, and the layer runs step by step.
struct WideCut {
  int64_t units = 0, unit_blocks = 0, sequence_blocks = 0;
  int64_t shared_floats = 0;

  RESBLOCK_INLINE int64_t blocks() const { return unit_blocks * sequence_blocks; }
};

// Each step of each layer has a number of its own.
RESBLOCK_INLINE bool flags_can_count(const Sizes& s) { return s.L * (s.T + 1) < int64_t(1) << 31; }

// Shared memory of a block: the recurrent weights of its units, (H, units) Quads, and room for partial sums.
template <class A>
RESBLOCK_INLINE int64_t wide_shared_floats(const Sizes& s, int64_t units, int sums) {
  return (s.H * units * 4 + wide_threads * sums) * int64_t(sizeof(A) / sizeof(float));
}

template <class A>
WideCut cut_wide(const Sizes& s, const void* kernel, int sums) {
  if (!flags_can_count(s)) return {};
  for (int64_t units = std::max<int64_t>(s.H / multiprocessors(), 1); units <= s.H; ++units) {
    const int64_t blocks = (s.H + units - 1) / units, floats = wide_shared_floats<A>(s, units, sums);
    const int64_t resident = resident_blocks(kernel, wide_warps, floats);
    if (resident >= blocks) return {units, blocks, 1, floats};
    if (resident == 0) break;  // not even one: it would want more and more memory
  }
  return {};
}

// Cuts the workspace into arrays, each on a boundary of 16 bytes.
struct WideArrays {
  char* base;
  size_t used = 0;

  template <class V>
  V* take(int64_t count) {
    V* array = base ? reinterpret_cast<V*>(base + used) : nullptr;
    used += (size_t(count) * sizeof(V) + 15) / 16 * 16;
    return array;
  }
};

// Sequences in fours, so that a thread reads four states at once.
RESBLOCK_INLINE int64_t sequence_quads(const Sizes& s) { return (s.B + 3) / 4; }

// Waits until all of `count` blocks have told of `step`; all threads of a block call it.
__device__ __forceinline__ void wait_for_all(const int* flags, int64_t count, int step) {
  for (int64_t block = threadIdx.x; block < count; block += blockDim.x) wait_for(flags + block, step);
  __syncthreads();
}

// Tells the others that the block has written all of `step`.
__device__ __forceinline__ void tell_all(int* flag, int step) {
  __syncthreads();
  if (threadIdx.x == 0) store_release(flag, step);
}

template <class S>
struct WideForward {
  static WideCut cut(const Forward<S>& p);
  static size_t workspace(const Forward<S>& p);
  static const char* launch(const Forward<S>& p, const Context& context, void* workspace);
};

template <class S>
struct WideBackward {
  static WideCut cut(const Backward<S>& p);
  static size_t workspace(const Backward<S>& p);
  static const char* launch(const Backward<S>& p, const Context& context, void* workspace);
};

}  // namespace resblock::cuda
