// sigmoid and tanh, branch-free, so that a loop over them vectorises. NaN stays NaN.
//
// exp(x) = 2^k (1 + p(r)) with x = k ln 2 + r, |r| <= ln(2)/2, and p the Taylor polynomial of exp(r) - 1: its
// remainder is below half a unit in the last place at degree 7 (float) and 13 (double).
#pragma once
#include "core/number.h"

namespace resblock {

template <class A>
struct ExpTraits;  // of a vector type: those of the numbers in it

// Elementwise where A is a vector type.
RESBLOCK_INLINE float select(bool which, float yes, float no) { return which ? yes : no; }
RESBLOCK_INLINE double select(bool which, double yes, double no) { return which ? yes : no; }

template <>
struct ExpTraits<float> {
  using Number = float;
  using Bits = uint32_t;
  static constexpr int mantissa = 23, bias = 127, degree = 7;
  static constexpr float log2e = 1.44269504f, ln2_high = 0.693359375f, ln2_low = -2.12194440e-4f;
  static constexpr float round = 12582912.f;  // 1.5 * 2^23: adding it rounds to an integer
  // exp(-bound) is about the smallest normal number: those below it are slow.
  static constexpr float bound = 87.33f;
};

template <>
struct ExpTraits<double> {
  using Number = double;
  using Bits = uint64_t;
  static constexpr int mantissa = 52, bias = 1023, degree = 13;
  static constexpr double log2e = 1.4426950408889634, ln2_high = 6.93147180369123816490e-1,
                          ln2_low = 1.90821492927058770002e-10;
  static constexpr double round = 6755399441055744.;  // 1.5 * 2^52
  static constexpr double bound = 708.39;
};

// A vector type names the Scalar it is made of and the vector of its Bits.
template <class A>
struct ExpTraits : ExpTraits<typename A::Scalar> {
  using Bits = typename A::Bits;
};

// 1/n!, n = 0..13.
template <class A>
RESBLOCK_INLINE A inverse_factorial(int n) {
  constexpr double table[] = {
      1.,        1.,         1. / 2,      1. / 6,       1. / 24,       1. / 120,       1. / 720,
      1. / 5040, 1. / 40320, 1. / 362880, 1. / 3628800, 1. / 39916800, 1. / 479001600, 1. / 6227020800.};
  return A(typename ExpTraits<A>::Number(table[n]));
}

// What a function is taken of: x, or x in base two, which is x times sigmoid_scale or tanh_scale. Kernels that pack
// their weights put the scale into them: the exponential is a power of 2 then, and takes two multiplications less. The
// product is rounded once, from double: a scale in float would shift all pre-activations the same way, and sums over
// hundreds of steps show it.
enum class Base { e, two };
constexpr double sigmoid_scale = 1.4426950408889634, tanh_scale = 2 * sigmoid_scale, ln2 = 0.6931471805599453;

// An exponential = scale * (1 + fraction), kept apart so that expm1 loses nothing near zero.
template <class A>
struct SplitExp {
  A scale, fraction;
};

// Comparisons are written so that NaN passes through them.
template <class A>
RESBLOCK_INLINE A clamp(A x, A low, A high) {
  x = select(x < low, low, x);
  return select(x > high, high, x);
}

// exp(-n x), n 1 or 2, or 2^-x where x is in base two, of an x cut at -bound and bound.
template <Base base, int n, class A>
RESBLOCK_INLINE SplitExp<A> exp_minus(A x, double bound) {
  using E = ExpTraits<A>;
  using Bits = typename E::Bits;
  x = clamp(x, A(typename E::Number(-bound)), A(typename E::Number(bound)));
  A shifted, r;
  if constexpr (base == Base::two) {
    shifted = A(E::round) - x;
    r = (x + (shifted - E::round)) * A(-ln2);
  } else {
    x = A(-n) * x;
    shifted = x * E::log2e + E::round;
    const A k = shifted - E::round;
    r = (x - k * E::ln2_high) - k * E::ln2_low;
  }
  A p = inverse_factorial<A>(E::degree);
  RESBLOCK_UNROLL
  for (int j = E::degree - 1; j >= 2; --j) p = p * r + inverse_factorial<A>(j);
  const Bits exponent = bit_cast<Bits>(shifted) - bit_cast<Bits>(A(E::round)) + Bits(E::bias);
  return {bit_cast<A>(Bits(exponent << E::mantissa)), r + r * r * p};
}

// exp(-x) + 1
template <Base base, class A>
RESBLOCK_INLINE A one_plus_exp_minus(A x, double bound) {
  const SplitExp<A> e = exp_minus<base, 1>(x, bound * (base == Base::two ? sigmoid_scale : 1));
  return A(1) + e.scale * (A(1) + e.fraction);
}

// exp(-2x) - 1; tanh(x) is 1 in every type here beyond |x| = 20.
template <Base base, class A>
RESBLOCK_INLINE A expm1_minus_twice(A x) {
  const SplitExp<A> e = exp_minus<base, 2>(x, 20 * (base == Base::two ? tanh_scale : 1));
  return (e.scale - A(1)) + e.scale * e.fraction;
}

template <class A>
RESBLOCK_INLINE A zero_below(A bound, A x, A otherwise) {
  return select(x < bound, A(0), otherwise);
}

// Zero, not the smallest normal number, where it is below that: a closed gate lets nothing of a huge or infinite state
// through.
template <Base base = Base::e, class A>
RESBLOCK_INLINE A sigmoid(A x) {
  using E = ExpTraits<A>;
  const A bound(typename E::Number(-E::bound * (base == Base::two ? sigmoid_scale : 1)));
  return zero_below(bound, x, A(1) / one_plus_exp_minus<base>(x, E::bound));
}

template <Base base = Base::e, class A>
RESBLOCK_INLINE A tanh(A x) {
  const A e = expm1_minus_twice<base>(x);
  return -e / (e + A(2));
}

// sigmoid(x), tanh(y) and their product with one division. sigmoid stays above exp(-40), so that the product of the
// two denominators is finite.
template <class A>
struct SigmoidTanh {
  A sigmoid, tanh, product;
};

template <Base of_x, Base of_y, class A>
RESBLOCK_INLINE SigmoidTanh<A> sigmoid_tanh(A x, A y) {
  const A a = one_plus_exp_minus<of_x>(x, 40), e = expm1_minus_twice<of_y>(y), b = e + A(2);
  const A quotient = A(1) / (a * b);
  return {b * quotient, -e * (a * quotient), -e * quotient};
}

}  // namespace resblock
