// What one instruction set offers: every schedule's kernels.
#pragma once
#include "core/cpu/batched.h"
#include "core/cpu/isa.h"
#include "core/cpu/layerwise.h"
#include "core/cpu/wavefront.h"

namespace resblock::cpu {

template <class S>
struct Kernels {
  LayerwiseKernels<S> layerwise;
  BatchedKernels<S> batched, batched_half;  // in full and in half vectors
  WavefrontKernels<S> wavefront[4];         // of wave_layers
  // Adds the gradients (groups, packed_size) of one layer in the order of the groups, in place, and stores the sum.
  void (*store_gradients)(const Backward<S>&, int64_t groups, Arithmetic<S>* gradients, int64_t layer);
};

// Those of the processor's instruction set.
template <class S>
Kernels<S> kernels();

}  // namespace resblock::cpu
