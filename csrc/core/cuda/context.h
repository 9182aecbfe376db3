// What the kernels take from the caller besides the problem: a stream, a seed, and a library for matrix products.
#pragma once
#include "core/number.h"

namespace resblock::cuda {

// to (m, n) = a (m, k) b (k, n), dense and row-major, in device memory. A transposed operand lies there as (k, m), or
// as (n, k). Sums are in Arithmetic<S>, unless the library was told that fewer bits will do.
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

struct Context {
  void* stream = nullptr;
  const int64_t* seed = nullptr;  // of the dropout mask, in device memory; or null for the seed of the options
  MatrixLibrary matrices = {};
};

}  // namespace resblock::cuda
