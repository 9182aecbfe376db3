// What one instruction set offers: every schedule's kernels.
#pragma once
#include "core/cpu/batched.h"
#include "core/cpu/isa.h"
#include "core/cpu/layerwise.h"
#include "core/cpu/wavefront.h"

namespace resblock::cpu {

template <class A>
struct Kernels {
  LayerwiseKernels<A> layerwise;
  BatchedKernels<A> batched, batched_half;  // in full and in half vectors
  WavefrontKernels<A> wavefront[4];         // of wave_layers
  // Adds the gradients (groups, packed_size) of one layer in the order of the groups, in place, and stores the sum.
  void (*store_gradients)(const Backward<A>&, int64_t groups, A* gradients, int64_t layer);
};

// Those of the processor's instruction set.
template <class A>
Kernels<A> kernels();

}  // namespace resblock::cpu
