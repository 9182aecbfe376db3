// What the inputs of a layer meet: the dropout mask and weights.
#pragma once
#include <cuda_runtime.h>

#include "core/dropout.h"
#include "core/problem.h"

namespace resblock::cuda {

// By which dropout multiplies one input of layers 2..L.
template <class S>
__device__ __forceinline__ Arithmetic<S> dropout_factor(const Inputs<S>& p, uint64_t seed, int64_t layer, int64_t t,
                                                        int64_t sequence, int64_t unit) {
  using A = Arithmetic<S>;
  if (p.options.dropout <= 0) return A(1);
  A factor[4];
  Dropout(seed, p.options.dropout).factors(layer, p.options.first_step + t, sequence, unit / 4, factor);
  const A low = unit & 1 ? factor[1] : factor[0], high = unit & 1 ? factor[3] : factor[2];
  return unit & 2 ? high : low;
}

// The weights that the inputs of a layer meet.
template <class S>
RESBLOCK_INLINE S* input_weights(const Weights<S>& w, const Sizes& s, int64_t layer) {
  return layer ? w.ih + (layer - 1) * 4 * s.H * s.H : w.ih_first;
}

}  // namespace resblock::cuda
