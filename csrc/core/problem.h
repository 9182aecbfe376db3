// What a kernel is given and what it must write: plain sizes, options and pointers, free of torch.
//
// All arrays are dense and row-major. The caller owns every one of them; a kernel writes only those that are
// not const. S is the storage type (float, double; on CUDA also bfloat16 and float16), Arithmetic<S> the type computed
// in.
#pragma once
#include <stdint.h>

#include "core/number.h"

namespace resblock {

constexpr int64_t gates_of_cell = 4;      // i, f, g, o
constexpr int64_t peepholes_of_cell = 3;  // i, f, o

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
  bool residual;                  // y^(l-2) joins the output of layers 4, 6, 8, ... (counted from 1)
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

// On the CPU a sequence whose states are reset within it is taken for several, one after the other: its pieces.
struct Piece {
  int64_t sequence;    // whose it is
  int64_t first_step;  // where it begins within the problem
  int64_t column;      // where its rows stand within their steps'
  bool from_state;     // it begins with the sequence's states; else with zeros
  bool is_last;        // of its sequence
};

struct Pieces {
  const Piece* at;           // (B,), the longest first
  int64_t T, sequences;      // the caller's
  const int64_t* first_row;  // (T + 1,) of the caller's steps
};

// What forward and backward both read.
template <class S>
struct Inputs {
  Sizes size;
  Options options;
  const S* input;  // (T, B, I), or `packed`
  Weights<const S> weights;
  const S* h_0;            // (L, B, H), or null on the CPU: zeros, by which no weight is multiplied
  const S* c_0;            // (L, B, H), likewise
  const int64_t* lengths;  // (B,): a sequence runs while first_step + t < its length; or null: all T steps

  // The matrices in bfloat16 in place of those of `weights`, which are null then: on the CPU, for products of such
  // numbers.
  Weights<const bfloat16> bfloat16_weights = {};

  // The CPU's kernels take sequences in the order of their lengths, the longest first: `lengths` stand in that order,
  // and this says which sequence stands where. Null: they come so.
  const int64_t* order = nullptr;  // (B,)
  // How many steps of sequences are run before each step, on the CPU with lengths only.
  const int64_t* rows_before = nullptr;  // (T + 1,)
  // Whether inputs, outputs and their gradients are rows of running sequences only, step after step in that order, in
  // place of T B rows.
  bool packed = false;

  // On a GPU: (T, B), at which steps sequences begin anew, from states of zero. Null: nowhere.
  const bool* resets = nullptr;
  // On the CPU, where sequences begin anew: their pieces. T and B are then the longest one's and their number,
  // `lengths` and `rows_before` are theirs, and `order` is null. Inputs, outputs, states and dropout are the
  // sequences'.
  const Pieces* pieces = nullptr;
};

// How many of the problem's T steps a sequence runs: the one at that place of `lengths`.
RESBLOCK_INLINE int64_t running_steps(int64_t T, const int64_t* lengths, int64_t first_step, int64_t place) {
  if (!lengths) return T;
  const int64_t rest = lengths[place] - first_step;
  return rest < 0 ? 0 : rest > T ? T : rest;
}
template <class S>
RESBLOCK_INLINE int64_t running_steps(const Inputs<S>& p, int64_t place) {
  return running_steps(p.size.T, p.lengths, p.options.first_step, place);
}

// Steps of all sequences before step t.
template <class S>
RESBLOCK_INLINE int64_t rows_before(const Inputs<S>& p, int64_t t) {
  return p.rows_before ? p.rows_before[t] : t * p.size.B;
}

// Of the states.
template <class S>
RESBLOCK_INLINE int64_t sequence_count(const Inputs<S>& p) {
  return p.pieces ? p.pieces->sequences : p.size.B;
}

template <class S>
RESBLOCK_INLINE int64_t sequence_at(const Inputs<S>& p, int64_t place) {
  if (p.pieces) return p.pieces->at[place].sequence;
  return p.order ? p.order[place] : place;
}

// Of step t there, as dropout counts.
template <class S>
RESBLOCK_INLINE int64_t time_at(const Inputs<S>& p, int64_t t, int64_t place) {
  return p.options.first_step + t + (p.pieces ? p.pieces->at[place].first_step : 0);
}

// The row of the inputs and outputs that the sequence at that place has at step t.
template <class S>
RESBLOCK_INLINE int64_t row_at(const Inputs<S>& p, int64_t t, int64_t place) {
  if (p.pieces) {
    const Piece& piece = p.pieces->at[place];
    return p.pieces->first_row[piece.first_step + t] + piece.column;
  }
  return p.packed ? p.rows_before[t] + place : t * p.size.B + sequence_at(p, place);
}
// Of inputs and outputs in all.
template <class S>
RESBLOCK_INLINE int64_t row_count(const Inputs<S>& p) {
  if (p.pieces) return p.pieces->first_row[p.pieces->T];
  return p.packed ? p.rows_before[p.size.T] : p.size.T * p.size.B;
}
// Whether neighbouring places have neighbouring rows.
template <class S>
RESBLOCK_INLINE bool rows_are_neighbours(const Inputs<S>& p) {
  return !p.pieces && (p.packed || !p.order);
}
// Whether neighbouring places have neighbouring states.
template <class S>
RESBLOCK_INLINE bool states_are_neighbours(const Inputs<S>& p) {
  return !p.pieces && !p.order;
}

// The state of one layer with which the steps at a place begin or end, in (L, sequences, H). Null for zeros, and where
// a piece's last state goes nowhere.
enum class End { first, last };
template <class A, class S>
RESBLOCK_INLINE A* state_of(const Inputs<S>& p, A* states, int64_t layer, int64_t place, End end) {
  if (!states) return nullptr;
  if (p.pieces && !(end == End::first ? p.pieces->at[place].from_state : p.pieces->at[place].is_last)) return nullptr;
  return states + (layer * sequence_count(p) + sequence_at(p, place)) * p.size.H;
}

// The saved activations of a cell, which the backward pass reads: its gates after their nonlinearity, c and y. The
// schedule that saves them lays them out as it likes best.
constexpr int64_t saved_gate_o = 3, saved_c = gates_of_cell, saved_y = saved_c + 1, saved_of_cell = saved_y + 1;

RESBLOCK_INLINE int64_t saved_per_layer(const Sizes& s) { return s.T * s.B * saved_of_cell * s.H; }

// The layout of most schedules: per layer three planes, one after the other, of T B rows. On a GPU steps past a
// sequence's length hold zero gates, zero y and the last valid c; on the CPU there are rows for the others only.
template <class A>
struct SavedLayer {
  A* gates;  // (rows, 4H)  i, f, g, o
  A* c;      // (rows, H)
  A* y;      // (rows, H)   the layer's output with its residual connection
};

template <class A>
RESBLOCK_INLINE SavedLayer<A> saved_layer(A* saved, int64_t rows, int64_t H, int64_t layer) {
  A* base = saved + layer * saved_of_cell * rows * H;
  return {base, base + saved_c * rows * H, base + saved_y * rows * H};
}
template <class A>
RESBLOCK_INLINE SavedLayer<A> saved_layer(A* saved, const Sizes& s, int64_t layer) {
  return saved_layer(saved, s.T * s.B, s.H, layer);
}

template <class S>
struct Forward : Inputs<S> {
  S* output;             // (T, B, H) or packed: y of the last layer; zero past a sequence's length
  S* h_n;                // (L, B, H)  h of every sequence's last step
  S* c_n;                // (L, B, H)
  Arithmetic<S>* saved;  // (L * saved_per_layer,) or null: no backward pass will follow
  S* cells = nullptr;  // (L, T, B, H), or of packed rows (L, rows, H): c of every step, zero past a sequence's length;
                       // null: not wanted
};

template <class S>
struct Backward : Inputs<S> {
  const S* grad_output;           // (T, B, H) or packed
  const S* grad_h_n;              // (L, B, H), or null on the CPU: zeros
  const S* grad_c_n;              // (L, B, H), likewise
  const Arithmetic<S>* saved;     // as the forward pass left it
  S* grad_input;                  // (T, B, I) or packed, or null on the CPU: not wanted
  Weights<S> grad_weights;        // as the weights; each may be null on the CPU: not wanted
  S* grad_h_0;                    // (L, B, H), or null on the CPU: neither is wanted
  S* grad_c_0;                    // (L, B, H)
  const S* grad_cells = nullptr;  // (L, T, B, H), or of packed rows (L, rows, H), or null: zeros
};

// Layers are counted from 0 in the code: the paper's even layers from the fourth on have a residual connection.
RESBLOCK_INLINE bool has_shortcut(const Options& o, int64_t layer) {
  return o.residual && layer >= 3 && layer % 2 == 1;
}

// Whether the input of `layer` also goes past it, into the residual connection of the next one.
RESBLOCK_INLINE bool shortcut_passes(const Sizes& s, const Options& o, int64_t layer) {
  return layer + 1 < s.L && has_shortcut(o, layer + 1);
}

template <auto value>
struct Constant {
  RESBLOCK_INLINE constexpr operator decltype(value)() const { return value; }
};

// Calls body(previous) with a constant, so that the cell's kernels are compiled for either output peephole:
//
//     with_output_peephole(options, [&](auto previous) { kernel<previous>(...); });
template <class Body>
RESBLOCK_INLINE auto with_output_peephole(const Options& o, const Body& body) {
  return o.output_peephole_previous ? body(Constant<true>()) : body(Constant<false>());
}

}  // namespace resblock
