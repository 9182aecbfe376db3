// Matrix products by their definition, for kernels that leave them to a library.
#pragma once
#include "core/cuda/context.h"

template <class S>
const char* multiply_by_definition(void*, const resblock::cuda::MatrixProduct<S>& p) {
  for (int64_t row = 0; row < p.m; ++row)
    for (int64_t column = 0; column < p.n; ++column) {
      resblock::Arithmetic<S> sum = 0;
      for (int64_t k = 0; k < p.k; ++k)
        sum += resblock::load(p.a[p.a_transposed ? k * p.m + row : row * p.k + k]) *
               resblock::load(p.b[p.b_transposed ? column * p.k + k : k * p.n + column]);
      resblock::store(p.to + row * p.n + column, sum);
    }
  return nullptr;
}

inline resblock::cuda::Context test_context(const int64_t* seed = nullptr) {
  return {nullptr,
          seed,
          {nullptr, multiply_by_definition<float>, multiply_by_definition<double>,
           multiply_by_definition<resblock::bfloat16>, multiply_by_definition<resblock::float16>}};
}
