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

template <class V, class A>
BatchedKernels<A> batched_kernels() {
  return {V::width, pack_unit_pairs<A>, pack_columns<A>, forward_tile<V, A>, backward_tile<V, A>};
}

template <class A>
LayerwiseKernels<A> layerwise_kernels() {
  return {pack_ahead<ForGates, A>, pack_ahead<ForInputs, A>, forward_block<A>, backward_group<A>};
}

}  // namespace

template <class A>
Kernels<A> kernels() {
  constexpr int W = vector_lanes<A>;
  using V = Lanes<A, W>;
  return {layerwise_kernels<A>(),
          batched_kernels<V, A>(),
          batched_kernels<Lanes<A, has_half_tiles(W) ? W / 2 : W>, A>(),
          {wavefront_kernels<V, 0, A>(), wavefront_kernels<V, 1, A>(), wavefront_kernels<V, 2, A>(),
           wavefront_kernels<V, 3, A>()},
          store_gradients<A>};
}

template Kernels<float> kernels<float>();
template Kernels<double> kernels<double>();

}  // namespace resblock::cpu::RESBLOCK_ISA
