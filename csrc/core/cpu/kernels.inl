// All schedules, compiled once per instruction set: RESBLOCK_ISA, one of Isa, and RESBLOCK_TILE_ROWS, of a matrix
// product, are the including file's. No standard header with inline code may come in here: the linker
// keeps one copy of an inline function, and it could be the one with instructions the processor lacks.
#include "core/cpu/kernels.h"

#include <string.h>
#if defined(__x86_64__)
#include <immintrin.h>
#endif

#include "core/cell.h"
#include "core/dropout.h"

namespace resblock::cpu::RESBLOCK_ISA {
namespace {

template <class A>
constexpr int vector_lanes = vector_bytes(Isa::RESBLOCK_ISA) / int(sizeof(A));

#include "core/cpu/lanes.h"
#include "core/cpu/rows.h"

#include "core/cpu/matmul.h"
#include "core/cpu/matmul_packing.h"
#include "core/cpu/matmul_transposed.h"

#include "core/cpu/batched.inl"
#include "core/cpu/layerwise.inl"
#include "core/cpu/wavefront.inl"

template <class V, class S>
BatchedKernels<S> batched_kernels() {
  return {V::width, pack_unit_pairs<S>, pack_columns<S>, forward_tile<V, S>, backward_tile<V, S>};
}

template <class S>
LayerwiseKernels<S> layerwise_kernels() {
  return {pack_forward<S>, pack_backward<S>, forward_block<S>, backward_group<S>};
}

}  // namespace

template <class S>
Kernels<S> kernels() {
  using A = Arithmetic<S>;
  using V = Lanes<A, vector_lanes<A>>;
  return {layerwise_kernels<S>(),
          batched_kernels<V, S>(),
          batched_kernels<Lanes<A, vector_lanes<A> / 2>, S>(),
          {wavefront_kernels<V, 0, S>(), wavefront_kernels<V, 1, S>(), wavefront_kernels<V, 2, S>(),
           wavefront_kernels<V, 3, S>()},
          store_gradients<S>};
}

template Kernels<float> kernels<float>();
template Kernels<double> kernels<double>();
template Kernels<bfloat16> kernels<bfloat16>();
template Kernels<float16> kernels<float16>();

}  // namespace resblock::cpu::RESBLOCK_ISA
