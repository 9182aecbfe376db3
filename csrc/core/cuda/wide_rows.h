// What happens between the matrix products of the wide schedule (wide.h): each thread makes some elements of a matrix
// with a row per step and sequence.
#pragma once
#include "core/cuda/cells.h"
#include "core/cuda/launch_kernel.h"
#include "core/cuda/wide.h"

namespace resblock::cuda {

inline Shape elements_shape(int64_t count) {
  const int64_t blocks = (count + wide_threads - 1) / wide_threads, most = 4096;
  return {blocks < 1 ? 1 : blocks < most ? blocks : most, wide_warps, 0};
}

// for (int64_t e ...) over the elements of this thread.
#define RESBLOCK_EACH_ELEMENT(e, count) \
  for (int64_t e = int64_t(blockIdx.x) * blockDim.x + threadIdx.x; e < (count); e += int64_t(gridDim.x) * blockDim.x)

// A step of a sequence.
struct StepOfSequence {
  int64_t t, b;
};
RESBLOCK_INLINE StepOfSequence step_of_row(const Sizes& s, int64_t row) { return {row / s.B, row % s.B}; }

template <class S>
__device__ __forceinline__ bool is_active(const Inputs<S>& p, const StepOfSequence& at) {
  return at.t < running_steps(p, at.b);
}

template <class To, class From>
__global__ void convert_kernel(const From* from, To* to, int64_t count) {
  RESBLOCK_EACH_ELEMENT(e, count) store(to + e, Arithmetic<To>(load(from[e])));
}

// rows (T B, width) = source where a sequence runs, else 0: padding may hold anything. Clears what blocks share, too.
template <class S, class To>
__global__ void valid_rows_kernel(Inputs<S> p, const S* source, int64_t width, To* rows, int* cleared,
                                  int64_t cleared_count) {
  using A = Arithmetic<S>;
  RESBLOCK_EACH_ELEMENT(e, cleared_count) cleared[e] = 0;
  RESBLOCK_EACH_ELEMENT(e, p.size.T * p.size.B * width)
  store(rows + e, is_active(p, step_of_row(p.size, e / width)) ? A(load(source[e])) : A(0));
}

// x (T B, H) = y of the layer below, where a sequence runs, after dropout.
template <class S>
__global__ void dropped_rows_kernel(Inputs<S> p, const int64_t* seed_on_device, int64_t layer, const Arithmetic<S>* y,
                                    S* x) {
  using A = Arithmetic<S>;
  const uint64_t seed = dropout_seed(p, seed_on_device);
  const int64_t H = p.size.H;
  RESBLOCK_EACH_ELEMENT(e, p.size.T * p.size.B * H) {
    const StepOfSequence at = step_of_row(p.size, e / H);
    store(x + e, is_active(p, at) ? y[e] * dropout_factor(p, seed, layer, at.t, at.b, e % H) : A(0));
  }
}

// Gradient of y of the layer below, in the place of that of the layer above, which may be part of it.
template <class S>
__global__ void gradient_below_kernel(Inputs<S> p, const int64_t* seed_on_device, int64_t layer, bool passed_on,
                                      const S* dx, Arithmetic<S>* dy_above) {
  using A = Arithmetic<S>;
  const uint64_t seed = dropout_seed(p, seed_on_device);
  const int64_t H = p.size.H;
  RESBLOCK_EACH_ELEMENT(e, p.size.T * p.size.B * H) {
    const StepOfSequence at = step_of_row(p.size, e / H);
    const A dy = load(dx[e]) * dropout_factor(p, seed, layer, at.t, at.b, e % H);
    dy_above[e] = passed_on ? dy + dy_above[e] : dy;
  }
}

}  // namespace resblock::cuda
