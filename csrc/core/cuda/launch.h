// The CUDA entry points. Nothing here synchronises with the host or allocates: the caller hands in the workspace.
#pragma once
#include <stddef.h>

#include "core/problem.h"

namespace resblock::cuda {

// to (m, n) = a (m, k) b (k, n), dense and row-major, in device memory. A transposed operand lies there as (k, m), or
// or as (n, k). Sums are in Arithmetic<S>, unless the library was told that fewer bits will do.
template <class S>
struct MatrixProduct {
  S* to;
  const S *a, *b;
  int64_t m, n, k;
  bool a_transposed, b_transposed;
};

// The caller's library for them. Null on success, else what went wrong.
struct MatrixLibrary {
  template <class S>
  using Multiply = const char* (*)(void* context, const MatrixProduct<S>& product);

  void* context = nullptr;
  Multiply<float> floats = nullptr;
  Multiply<double> doubles = nullptr;
  Multiply<bfloat16> bfloats = nullptr;
  Multiply<float16> halves = nullptr;

  const char* multiply(const MatrixProduct<float>& product) const { return floats(context, product); }
  const char* multiply(const MatrixProduct<double>& product) const { return doubles(context, product); }
  const char* multiply(const MatrixProduct<bfloat16>& product) const { return bfloats(context, product); }
  const char* multiply(const MatrixProduct<float16>& product) const { return halves(context, product); }
};

// What the kernels take from the caller besides the problem.
struct Context {
  void* stream = nullptr;
  const int64_t* seed = nullptr;  // of the dropout mask, in device memory; or null: that of the options
  MatrixLibrary matrices = {};
};

// Bytes of device memory, on a boundary of 16, that the launch of the same problem wants.
template <class S>
size_t forward_workspace(const Forward<S>& problem);
template <class S>
size_t backward_workspace(const Backward<S>& problem);

// The schedules that the launches choose from by size, or RESBLOCK_CUDA_SCHEDULE for them. A schedule that cannot take
// a problem leaves it to another: wavefront to serial, serial and wide to general, which takes everything. A forced
// schedule for layers of another width than the problem's changes nothing.
const char* schedules();

// All pointers of the problem are device pointers. Null on success, else what went wrong.
template <class S>
const char* forward(const Forward<S>& problem, const Context& context, void* workspace);
template <class S>
const char* backward(const Backward<S>& problem, const Context& context, void* workspace);

}  // namespace resblock::cuda
