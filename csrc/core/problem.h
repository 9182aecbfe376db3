// What a kernel is given and what it must write: plain sizes, options and pointers, free of torch.
//
// All arrays are dense and row-major. The caller owns every one of them; a kernel writes only those that are
// not const. S is the storage type (float, double, bfloat16, float16), Arithmetic<S> the type computed in.
#pragma once
#include <stdint.h>

#include "core/number.h"

namespace resblock {

struct Sizes {
  int64_t T;  // time steps
  int64_t B;  // sequences
  int64_t I;  // inputs of the first layer
  int64_t H;  // units of every layer
  int64_t L;  // layers, at least 1
};

struct Options {
  double dropout;                 // probability of zeroing an input of layers 2..L; 0 outside training
  uint64_t seed;                  // of the dropout mask
  bool residual;                  // add y^(l-2) to the output of layers 4, 6, 8, ... (counted from 1)
  bool output_peephole_previous;  // the output gate sees c[t-1] instead of c[t]
  int64_t first_step = 0;         // of this problem within a longer one: lengths and dropout count steps from there
};

// Gates stand in the order i, f, g, o; peepholes in the order i, f, o.
template <class S>
struct Weights {
  S* ih_first;  // (4H, I)
  S* ih;        // (L-1, 4H, H)
  S* hh;        // (L, 4H, H)
  S* peephole;  // (L, 3, H)
  S* bias;      // (L, 4H)
};

// What forward and backward both read.
template <class S>
struct Inputs {
  Sizes size;
  Options options;
  const S* input;  // (T, B, I)
  Weights<const S> weights;
  const S* h_0;            // (L, B, H), or null on the CPU: zeros, by which no weight is multiplied
  const S* c_0;            // (L, B, H), likewise
  const int64_t* lengths;  // (B,): a sequence runs while first_step + t < its length; or null: all T steps
};

// How many of the problem's steps a sequence runs.
template <class S>
RESBLOCK_INLINE int64_t running_steps(const Inputs<S>& p, int64_t sequence) {
  if (!p.lengths) return p.size.T;
  const int64_t rest = p.lengths[sequence] - p.options.first_step;
  return rest < 0 ? 0 : rest > p.size.T ? p.size.T : rest;
}

// What the backward pass needs of the forward pass: per cell the gates after their nonlinearity, c and y, laid out as
// the schedule that wrote them likes best. This is how most do: per layer three planes, one after the other, in which
// steps past a sequence's length hold zero gates, zero y and the last valid c.
template <class A>
struct SavedLayer {
  A* gates;  // (T, B, 4H)  i, f, g, o
  A* c;      // (T, B, H)
  A* y;      // (T, B, H)   the layer's output with the residual addition
};

RESBLOCK_INLINE int64_t saved_per_layer(const Sizes& s) { return s.T * s.B * 6 * s.H; }

template <class A>
RESBLOCK_INLINE SavedLayer<A> saved_layer(A* saved, const Sizes& s, int64_t layer) {
  const int64_t cells = s.T * s.B * s.H;
  A* base = saved + layer * 6 * cells;
  return {base, base + 4 * cells, base + 5 * cells};
}

template <class S>
struct Forward : Inputs<S> {
  S* output;             // (T, B, H)  y of the last layer; zero past a sequence's length
  S* h_n;                // (L, B, H)  h of every sequence's last step
  S* c_n;                // (L, B, H)
  Arithmetic<S>* saved;  // (L * saved_per_layer,) or null: no backward pass will follow
};

template <class S>
struct Backward : Inputs<S> {
  const S* grad_output;        // (T, B, H)
  const S* grad_h_n;           // (L, B, H), or null on the CPU: zeros
  const S* grad_c_n;           // (L, B, H), likewise
  const Arithmetic<S>* saved;  // as the forward pass left it
  S* grad_input;               // (T, B, I), or null on the CPU: not wanted
  Weights<S> grad_weights;     // as the weights
  S* grad_h_0;                 // (L, B, H), or null on the CPU: neither is wanted
  S* grad_c_0;                 // (L, B, H)
};

// Layers are counted from 0 in the code: the paper's even layers from the fourth on take the addition.
RESBLOCK_INLINE bool has_shortcut(const Options& o, int64_t layer) {
  return o.residual && layer >= 3 && layer % 2 == 1;
}

}  // namespace resblock
