// W numbers side by side, with the arithmetic the cell's equations want.
//
// Included by the per-instruction-set files only, inside their namespace.

constexpr double power(double base, int n) { return n ? base * power(base, n - 1) : 1; }

template <class U, int W>
struct LaneBits {
  typedef U Vec __attribute__((vector_size(W * sizeof(U))));
  using Scalar = U;
  using Bits = LaneBits;
  static constexpr int width = W;
  Vec v;

  LaneBits() = default;
  RESBLOCK_INLINE explicit LaneBits(U x) : v(Vec{} + x) {}
  static RESBLOCK_INLINE LaneBits of(const Vec& v) {
    LaneBits x;
    x.v = v;
    return x;
  }
  friend RESBLOCK_INLINE LaneBits operator+(LaneBits a, LaneBits b) { return of(a.v + b.v); }
  friend RESBLOCK_INLINE LaneBits operator-(LaneBits a, LaneBits b) { return of(a.v - b.v); }
  friend RESBLOCK_INLINE LaneBits operator<<(LaneBits a, int bits) { return of(a.v << bits); }
};

template <class A, int W>
struct Lanes {
  typedef A Vec __attribute__((vector_size(W * sizeof(A))));
  typedef decltype(Vec{} < Vec{}) Mask;
  using Scalar = A;
  using Bits = LaneBits<typename ExpTraits<A>::Bits, W>;
  static constexpr int width = W;
  Vec v;

  Lanes() = default;
  RESBLOCK_INLINE Lanes(A x) : v(x - Vec{}) {}

  static RESBLOCK_INLINE Lanes of(const Vec& v) {
    Lanes x;
    x.v = v;
    return x;
  }
  static RESBLOCK_INLINE Lanes load(const A* from) {
    Lanes x;
    memcpy(&x.v, from, sizeof x.v);
    return x;
  }
  RESBLOCK_INLINE void store(A* to) const { memcpy(to, &v, sizeof v); }

  RESBLOCK_INLINE Lanes operator-() const { return of(-v); }
  RESBLOCK_INLINE Lanes& operator+=(Lanes o) {
    v += o.v;
    return *this;
  }
  friend RESBLOCK_INLINE Lanes operator+(Lanes a, Lanes b) { return of(a.v + b.v); }
  friend RESBLOCK_INLINE Lanes operator-(Lanes a, Lanes b) { return of(a.v - b.v); }
  friend RESBLOCK_INLINE Lanes operator*(Lanes a, Lanes b) { return of(a.v * b.v); }
  friend RESBLOCK_INLINE Lanes operator/(Lanes a, Lanes b) { return of(a.v / b.v); }
  friend RESBLOCK_INLINE Mask operator<(Lanes a, Lanes b) { return a.v < b.v; }
  friend RESBLOCK_INLINE Mask operator>(Lanes a, Lanes b) { return a.v > b.v; }
  friend RESBLOCK_INLINE Lanes select(Mask which, Lanes yes, Lanes no) { return of(which ? yes.v : no.v); }
  // x, but +0 in the lanes where `bits` has no bit set, whatever x is there.
  friend RESBLOCK_INLINE Lanes only(Lanes bits, Lanes x) {
    return bit_cast<Lanes>(
        typename Bits::Vec(bit_cast<typename Bits::Vec>(x.v) & bit_cast<typename Bits::Vec>(bits.v)));
  }
};

// A non-temporal store, past the caches, to a place aligned as the vector is: for what is not read soon. A line that is
// written whole need not be read first. Other threads see it after finish_non_temporal_stores().
template <class V>
RESBLOCK_INLINE void store_non_temporal(V x, void* to) {
#if defined(__AVX512F__)
  if constexpr (sizeof x == 64) return _mm512_stream_si512(static_cast<__m512i*>(to), bit_cast<__m512i>(x.v));
#endif
#if defined(__AVX__)
  if constexpr (sizeof x == 32) return _mm256_stream_si256(static_cast<__m256i*>(to), bit_cast<__m256i>(x.v));
#endif
#if defined(__x86_64__)
  if constexpr (sizeof x == 16) return _mm_stream_si128(static_cast<__m128i*>(to), bit_cast<__m128i>(x.v));
#endif
  memcpy(to, &x, sizeof x);
}
RESBLOCK_INLINE void finish_non_temporal_stores() {
#if defined(__x86_64__)
  _mm_sfence();
#endif
}

// The numbers 0 .. N - 1 as a pack.
template <int... n>
struct Indices {};
template <int N, int... n>
struct CountTo : CountTo<N - 1, N - 1, n...> {};
template <int... n>
struct CountTo<0, n...> {
  using All = Indices<n...>;
};

template <class V, class Lane, int... n>
RESBLOCK_INLINE V shuffled(V a, V b, Lane lane, Indices<n...>) {
  return V::of(__builtin_shufflevector(a.v, b.v, lane(n)...));
}

// Lane n of the result is lane(n) of a, or lane(n) - V::width of b. `lane` captures nothing.
template <class V, class Lane>
RESBLOCK_INLINE V shuffled(V a, V b, Lane lane) {
  return shuffled(a, b, lane, typename CountTo<V::width>::All());
}

// Sums of lanes, always in the same order. halves_added: of every block of 2 * half lanes in a, then in b, the first
// half plus the second.
template <int half, class V>
RESBLOCK_INLINE V halves_added(V a, V b) {
  return shuffled(a, b, [](int n) { return n / half * 2 * half + n % half; }) +
         shuffled(a, b, [](int n) { return n / half * 2 * half + n % half + half; });
}

// V::width vectors become one, v[0], of the sums over their lanes.
template <class V, int half = V::width / 2>
RESBLOCK_INLINE void lanes_added(V* v) {
  if constexpr (half > 0) {
    for (int k = 0; k < half; ++k) v[k] = halves_added<half>(v[2 * k], v[2 * k + 1]);
    lanes_added<V, half / 2>(v);
  }
}

// (lanes, count) in `count` vectors becomes (count, lanes). Every round moves the last bit of the values' indices to
// the front.
template <int count, class V>
RESBLOCK_INLINE void rows_to_lanes(V* v) {
  RESBLOCK_UNROLL
  for (int round = 1; round < count; round *= 2) {
    V next[count];
    RESBLOCK_UNROLL
    for (int k = 0; k < count / 2; ++k) {
      next[k] = shuffled(v[2 * k], v[2 * k + 1], [](int n) { return 2 * n; });
      next[k + count / 2] = shuffled(v[2 * k], v[2 * k + 1], [](int n) { return 2 * n + 1; });
    }
    RESBLOCK_UNROLL
    for (int k = 0; k < count; ++k) v[k] = next[k];
  }
}

#if defined(__x86_64__)
// The instructions' own minimum and maximum give the second operand where one is NaN, as clamp wants. Compilers make
// a comparison and a blend of it, which take the units that multiply. (Masks of ones: what gcc has for no mask reads an
// undefined register, and it warns.)
RESBLOCK_INLINE __m128 minimum(__m128 a, __m128 b) { return _mm_min_ps(a, b); }
RESBLOCK_INLINE __m128 maximum(__m128 a, __m128 b) { return _mm_max_ps(a, b); }
RESBLOCK_INLINE __m128d minimum(__m128d a, __m128d b) { return _mm_min_pd(a, b); }
RESBLOCK_INLINE __m128d maximum(__m128d a, __m128d b) { return _mm_max_pd(a, b); }
#if defined(__AVX2__)
RESBLOCK_INLINE __m256 minimum(__m256 a, __m256 b) { return _mm256_min_ps(a, b); }
RESBLOCK_INLINE __m256 maximum(__m256 a, __m256 b) { return _mm256_max_ps(a, b); }
RESBLOCK_INLINE __m256d minimum(__m256d a, __m256d b) { return _mm256_min_pd(a, b); }
RESBLOCK_INLINE __m256d maximum(__m256d a, __m256d b) { return _mm256_max_pd(a, b); }
#endif
#if defined(__AVX512F__)
RESBLOCK_INLINE __m512 minimum(__m512 a, __m512 b) { return _mm512_maskz_min_ps(0xffff, a, b); }
RESBLOCK_INLINE __m512 maximum(__m512 a, __m512 b) { return _mm512_maskz_max_ps(0xffff, a, b); }
RESBLOCK_INLINE __m512d minimum(__m512d a, __m512d b) { return _mm512_maskz_min_pd(0xff, a, b); }
RESBLOCK_INLINE __m512d maximum(__m512d a, __m512d b) { return _mm512_maskz_max_pd(0xff, a, b); }
#endif

template <class A, int W, class = decltype(minimum(typename Lanes<A, W>::Vec{}, typename Lanes<A, W>::Vec{}))>
RESBLOCK_INLINE Lanes<A, W> clamp(Lanes<A, W> x, Lanes<A, W> low, Lanes<A, W> high) {
  return Lanes<A, W>::of(minimum(high.v, maximum(low.v, x.v)));
}
#endif

// Two vectors, computed side by side: while an operation of one waits for the one before it, the other's can run. A
// processor sees no further than a chain of the cell's equations, and finds only alternately what is independent.
template <class V>
struct Two {
  using Scalar = typename V::Scalar;
  using Bits = Two<typename V::Bits>;
  static constexpr int width = V::width;
  V a, b;

  Two() = default;
  RESBLOCK_INLINE Two(V a, V b) : a(a), b(b) {}
  RESBLOCK_INLINE Two(Scalar x) : a(x), b(x) {}

  static RESBLOCK_INLINE Two load(const Scalar* from) { return {V::load(from), V::load(from + V::width)}; }
  RESBLOCK_INLINE void store(Scalar* to) const {
    a.store(to);
    b.store(to + V::width);
  }

  RESBLOCK_INLINE Two operator-() const { return {-a, -b}; }
  RESBLOCK_INLINE Two& operator+=(Two o) {
    a += o.a;
    b += o.b;
    return *this;
  }
  friend RESBLOCK_INLINE Two operator+(Two x, Two y) { return {x.a + y.a, x.b + y.b}; }
  friend RESBLOCK_INLINE Two operator-(Two x, Two y) { return {x.a - y.a, x.b - y.b}; }
  friend RESBLOCK_INLINE Two operator*(Two x, Two y) { return {x.a * y.a, x.b * y.b}; }
  friend RESBLOCK_INLINE Two operator/(Two x, Two y) { return {x.a / y.a, x.b / y.b}; }
  friend RESBLOCK_INLINE Two operator<<(Two x, int bits) { return {x.a << bits, x.b << bits}; }
};

template <class Of, class A, int W>
RESBLOCK_INLINE Lanes<A, W> each(Of of, Lanes<A, W> x) {
  return of(x);
}
template <class Of, class V>
RESBLOCK_INLINE Two<V> each(Of of, Two<V> x) {
  return {of(x.a), of(x.b)};
}

using resblock::clamp;
template <class V>
RESBLOCK_INLINE Two<V> clamp(Two<V> x, Two<V> low, Two<V> high) {
  return {clamp(x.a, low.a, high.a), clamp(x.b, low.b, high.b)};
}

using resblock::zero_below;
template <class V>
RESBLOCK_INLINE Two<V> zero_below(Two<V> bound, Two<V> x, Two<V> otherwise) {
  return {zero_below(bound.a, x.a, otherwise.a), zero_below(bound.b, x.b, otherwise.b)};
}

#if defined(__AVX2__)
// Where one instruction looks up any lane, exp(r) = 2^(j/W) exp(r'), j = 0..W-1, leaves an r' so small that a
// polynomial of degree 3 (W = 16) or 4 (W = 8) is enough. The bits of 2^(j/W) less j's place in the exponent: adding
// k W + j, shifted there, makes 2^k 2^(j/W). What rounding took from it joins the fraction where n is 2: the expm1 of
// tanh would miss it near zero.
template <int W>
struct PowerTable;
#if defined(__AVX512F__)
template <>
struct PowerTable<16> {
  static constexpr int degree = 3;
  static RESBLOCK_INLINE LaneBits<uint32_t, 16>::Vec bits() {
    return LaneBits<uint32_t, 16>::Vec{0x3f800000, 0x3f7daac3, 0x3f7b95c2, 0x3f79c3d3, 0x3f7837f0, 0x3f76f532,
                                       0x3f75fed7, 0x3f75583f, 0x3f7504f3, 0x3f7508a4, 0x3f75672a, 0x3f76248c,
                                       0x3f7744fd, 0x3f78ccdf, 0x3f7ac0c7, 0x3f7d257d};
  }
  static RESBLOCK_INLINE Lanes<float, 16>::Vec errors() {
    return Lanes<float, 16>::Vec{0,
                                 4.628547e-08f,
                                 -1.199216e-08f,
                                 4.729782e-08f,
                                 3.193418e-08f,
                                 3.621057e-08f,
                                 -3.099072e-08f,
                                 -7.475213e-09f,
                                 1.711427e-08f,
                                 -3.047683e-08f,
                                 5.233334e-09f,
                                 6.107592e-09f,
                                 -1.471961e-08f,
                                 -5.258795e-09f,
                                 -6.128260e-09f,
                                 5.140609e-09f};
  }
};
#endif
template <>
struct PowerTable<8> {
  static constexpr int degree = 4;
  static RESBLOCK_INLINE LaneBits<uint32_t, 8>::Vec bits() {
    return LaneBits<uint32_t, 8>::Vec{0x3f800000, 0x3f7b95c2, 0x3f7837f0, 0x3f75fed7,
                                      0x3f7504f3, 0x3f75672a, 0x3f7744fd, 0x3f7ac0c7};
  }
  static RESBLOCK_INLINE Lanes<float, 8>::Vec errors() {
    return Lanes<float, 8>::Vec{
        0, -1.199216e-08f, 3.193418e-08f, -3.099072e-08f, 1.711427e-08f, 5.233334e-09f, -1.471961e-08f, -6.128260e-09f};
  }
};

// Coefficients of 2^-r - 1 where |r| is at most 1/2W: Taylor's, and of the first power that is left out the best that a
// lower one can do (Chebyshev), which leaves a quarter of its error.
template <class V>
RESBLOCK_INLINE V exp_coefficient(int n, int degree) {
  const double most = ln2 / (2 * V::width),
               left_out = degree / 4. * most * most * inverse_factorial<double>(degree + 1);
  return V(float(power(-ln2, n) * (inverse_factorial<double>(n) + (n == degree - 1 ? left_out : 0))));
}

// In each lane the entry of the table that the last bits of `steps` name. Clang has only the instruction for it, by
// which g++ loses sight of what it may contract.
template <class Table, class Steps>
RESBLOCK_INLINE Table looked_up(Table table, Steps steps) {
#if !defined(__clang__)
  return __builtin_shuffle(table, steps);
#else
#if defined(__AVX512F__)
  if constexpr (sizeof table == 64)
    return bit_cast<Table>(_mm512_permutexvar_epi32(bit_cast<__m512i>(steps), bit_cast<__m512i>(table)));
  else
#endif
    return bit_cast<Table>(_mm256_permutevar8x32_epi32(bit_cast<__m256i>(table), bit_cast<__m256i>(steps)));
#endif
}

// Both for what stands in the last bits of `shifted`.
template <int W>
RESBLOCK_INLINE Lanes<float, W> table_power(Lanes<float, W> shifted) {
  using Bits = typename LaneBits<uint32_t, W>::Vec;
  const Bits steps = bit_cast<Bits>(shifted.v), exponent = steps << (W == 16 ? 19 : 20);
  return bit_cast<Lanes<float, W>>(Bits(looked_up(PowerTable<W>::bits(), steps) + exponent));
}
template <int W>
RESBLOCK_INLINE Lanes<float, W> table_error(Lanes<float, W> shifted) {
  const auto steps = bit_cast<typename LaneBits<uint32_t, W>::Vec>(shifted.v);
  return Lanes<float, W>::of(looked_up(PowerTable<W>::errors(), steps));
}

#if defined(__AVX512DQ__)
// x, but at most `bound` by absolute value; NaN becomes a bound.
RESBLOCK_INLINE Lanes<float, 16> within(Lanes<float, 16> x, float bound) {
  return bit_cast<Lanes<float, 16>>(_mm512_maskz_range_ps(0xffff, bit_cast<__m512>(x), _mm512_set1_ps(bound), 2));
}
RESBLOCK_INLINE Lanes<float, 8> within(Lanes<float, 8> x, float bound) {
  return bit_cast<Lanes<float, 8>>(_mm256_maskz_range_ps(0xff, bit_cast<__m256>(x), _mm256_set1_ps(bound), 2));
}
// x less the nearest multiple of 1/W; of infinity 0, of NaN itself.
RESBLOCK_INLINE Lanes<float, 16> rest(Lanes<float, 16> x) {
  return bit_cast<Lanes<float, 16>>(_mm512_maskz_reduce_ps(0xffff, bit_cast<__m512>(x), 4 << 4));
}
RESBLOCK_INLINE Lanes<float, 8> rest(Lanes<float, 8> x) {
  return bit_cast<Lanes<float, 8>>(_mm256_maskz_reduce_ps(0xff, bit_cast<__m256>(x), 3 << 4));
}
#endif

template <Base base, int n, int degree, class V>
RESBLOCK_INLINE SplitExp<V> exp_minus_by_table(V x, double bound) {
  constexpr double unit = base == Base::two ? 1 : n * sigmoid_scale;
  // What a unit in float lacks of the exact one would shift all pre-activations the same way.
#if defined(__AVX512DQ__)
  constexpr float lost = float((unit - float(unit)) / unit);
#else
  constexpr float lost = float(unit - float(unit));
#endif
  const V round(ExpTraits<float>::round / V::width);
#if defined(__AVX512DQ__)
  x = x * V(float(unit));
  const V shifted = round - each([=](auto v) { return within(v, float(bound * unit)); }, x);
  V r = each([](auto v) { return rest(v); }, x);
  if (base == Base::e) r += each([=](auto v) { return within(v, float(bound * unit)); }, x) * V(lost);
#else
  x = clamp(x, V(float(-bound)), V(float(bound)));
  const V shifted = round - x * V(float(unit));
  V r = x * V(float(unit)) + (shifted - round);
  if (base == Base::e) r += x * V(lost);
#endif
  V p = exp_coefficient<V>(degree, degree);
  RESBLOCK_UNROLL
  for (int j = degree - 1; j >= 1; --j) p = p * r + exp_coefficient<V>(j, degree);
  p = p * r;
  if (n == 2) p += each([](auto v) { return table_error(v); }, shifted);
  return {each([](auto v) { return table_power(v); }, shifted), p};
}

template <Base base, int n, int W, int degree = PowerTable<W>::degree>
RESBLOCK_INLINE SplitExp<Lanes<float, W>> exp_minus(Lanes<float, W> x, double bound) {
  return exp_minus_by_table<base, n, degree>(x, bound);
}
template <Base base, int n, int W, int degree = PowerTable<W>::degree>
RESBLOCK_INLINE SplitExp<Two<Lanes<float, W>>> exp_minus(Two<Lanes<float, W>> x, double bound) {
  return exp_minus_by_table<base, n, degree>(x, bound);
}
#endif
