// One cell: one unit of one layer at one time step of one sequence. The only place where the equations stand.
//
//     i = sigmoid(z_i + p_i c[t-1])       c = f c[t-1] + i g
//     f = sigmoid(z_f + p_f c[t-1])       o = sigmoid(z_o + p_o C)      C = c[t] or c[t-1]
//     g = tanh(z_g)                       h = o tanh(c)
//
// z = W x + U h[t-1] + b is the caller's.
#pragma once
#include "core/activation.h"

namespace resblock {

template <class A>
struct Gates {
  A i, f, g, o;
};

template <class A>
struct Peephole {
  A i, f, o;
};

template <class A>
struct CellState {
  A c, h;
};

// Both turn the pre-activations they need into gates, in place. A schedule may have other work done between them. The
// base is that of the pre-activations and peepholes.
template <Base base = Base::e, class A>
RESBLOCK_INLINE A cell_state(Gates<A>& z, const Peephole<A>& p, A c_previous) {
  const SigmoidTanh<A> added = sigmoid_tanh<base, base>(z.i + p.i * c_previous, z.g);
  z.i = added.sigmoid;
  z.g = added.tanh;
  z.f = sigmoid<base>(z.f + p.f * c_previous);
  return z.f * c_previous + added.product;
}

// The output gate sees c, or c of the step before: `seen`.
template <Base base = Base::e, class A>
RESBLOCK_INLINE A cell_output(Gates<A>& z, const Peephole<A>& p, A seen, A c) {
  const SigmoidTanh<A> out = sigmoid_tanh<base, Base::e>(z.o + p.o * seen, c);
  z.o = out.sigmoid;
  return out.product;
}

// What pre-activations in base two, and so the rows of a gate's weights, are multiplied by. Gates are counted i, f, g,
// o.
constexpr double base_two_scale(int64_t gate) { return gate == 2 ? tanh_scale : sigmoid_scale; }

template <bool previous, class A>
RESBLOCK_INLINE CellState<A> cell_forward(Gates<A>& z, const Peephole<A>& p, A c_previous) {
  const A c = cell_state(z, p, c_previous);
  return {c, cell_output(z, p, previous ? c_previous : c, c)};
}

// The backward pass, in the reverse order and again in two halves, gives dz, the gradients of the pre-activations (the
// paper's delta of the gates). dh: gradient of h[t]. dc: gradient of c[t], at first from step t+1 only, replaced by
// that of c[t-1] in the second half.
template <bool previous, class A>
RESBLOCK_INLINE void cell_output_backward(const Gates<A>& gate, const Peephole<A>& p, A tanh_c, A dh, A& dc,
                                          Gates<A>& dz) {
  const A through_o = dh * gate.o;
  dz.o = through_o * tanh_c * (A(1) - gate.o);
  dc = dc + through_o * (A(1) - tanh_c * tanh_c) + (previous ? A(0) : p.o * dz.o);
}

template <bool previous, class A>
RESBLOCK_INLINE void cell_state_backward(const Gates<A>& gate, const Peephole<A>& p, A c_previous, A& dc,
                                         Gates<A>& dz) {
  const A through_i = dc * gate.i, through_f = dc * gate.f;
  dz.i = through_i * gate.g * (A(1) - gate.i);
  dz.f = through_f * c_previous * (A(1) - gate.f);
  dz.g = through_i * (A(1) - gate.g * gate.g);
  dc = through_f + p.i * dz.i + p.f * dz.f + (previous ? p.o * dz.o : A(0));
}

template <bool previous, class A>
RESBLOCK_INLINE Gates<A> cell_backward(const Gates<A>& gate, const Peephole<A>& p, A c_previous, A c, A dh, A& dc) {
  Gates<A> dz;
  cell_output_backward<previous>(gate, p, tanh(c), dh, dc, dz);
  cell_state_backward<previous>(gate, p, c_previous, dc, dz);
  return dz;
}

}  // namespace resblock
