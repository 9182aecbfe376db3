// What kernels of every schedule ask of a problem: dropout, weights by layer, which c the output gate sees.
#pragma once
#include <cuda_runtime.h>

#include "core/cell.h"
#include "core/dropout.h"
#include "core/problem.h"

namespace resblock::cuda {

// Gates are counted i, f, g, o, peepholes i, f, o.
constexpr int gate_g = 2, gate_o = 3;
RESBLOCK_INLINE int64_t peephole_of_gate(int64_t gate) { return gate == gate_o ? 2 : gate; }

// The dropout mask's seed, which may lie in device memory.
template <class S>
__device__ __forceinline__ uint64_t dropout_seed(const Inputs<S>& p, const int64_t* on_device) {
  return on_device ? uint64_t(*on_device) : p.options.seed;
}

// Whether a sequence begins anew at a step that it runs.
template <class S>
__device__ __forceinline__ bool is_reset(const Inputs<S>& p, int64_t t, int64_t sequence) {
  return p.resets && p.resets[t * p.size.B + sequence];
}

// Where c of a step, or its gradient, stands among those of every layer.
template <class S>
RESBLOCK_INLINE int64_t cells_index(const Inputs<S>& p, int64_t layer, int64_t t, int64_t sequence, int64_t unit) {
  return ((layer * p.size.T + t) * p.size.B + sequence) * p.size.H + unit;
}

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
  return layer ? w.ih + (layer - 1) * gates_of_cell * s.H * s.H : w.ih_first;
}

// All threads of a launch have the same output peephole: kernels ask for it at each cell, and are compiled once.
template <class A>
__device__ __forceinline__ CellState<A> cell_forward(const Options& o, Gates<A>& z, const Peephole<A>& p,
                                                     A c_previous) {
  return with_output_peephole(o, [&](auto previous) { return resblock::cell_forward<previous>(z, p, c_previous); });
}

template <class A>
__device__ __forceinline__ Gates<A> cell_backward(const Options& o, const Gates<A>& gate, const Peephole<A>& p,
                                                  A c_previous, A c, A dh, A& dc) {
  return with_output_peephole(
      o, [&](auto previous) { return resblock::cell_backward<previous>(gate, p, c_previous, c, dh, dc); });
}

// The c that a gate's peephole sees.
template <class A>
__device__ __forceinline__ A seen_by(int64_t gate, const Options& o, A c_previous, A c) {
  return gate == gate_o && !o.output_peephole_previous ? c : c_previous;
}

}  // namespace resblock::cuda
