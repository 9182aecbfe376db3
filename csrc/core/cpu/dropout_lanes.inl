// The words of the dropout mask for neighbouring sequences at once.

// A word in each lane of 64 bits: the lower half counts, whatever the upper one holds.
template <int N>
struct WideWords {
  typedef long long Vec __attribute__((vector_size(N * sizeof(long long))));  // what __m128i and its like are
  typedef unsigned long long Unsigned __attribute__((vector_size(N * sizeof(long long))));
  Vec v;

  friend RESBLOCK_INLINE WideWords operator^(WideWords a, WideWords b) { return {a.v ^ b.v}; }
  friend RESBLOCK_INLINE WideWords operator^(WideWords a, uint32_t b) { return {a.v ^ b}; }
};

#if defined(__x86_64__)
RESBLOCK_INLINE __m128i product_of_lower_halves(__m128i a, __m128i b) { return _mm_mul_epu32(a, b); }
#if defined(__AVX2__)
RESBLOCK_INLINE __m256i product_of_lower_halves(__m256i a, __m256i b) { return _mm256_mul_epu32(a, b); }
#endif
#if defined(__AVX512F__)
RESBLOCK_INLINE __m512i product_of_lower_halves(__m512i a, __m512i b) { return _mm512_maskz_mul_epu32(0xff, a, b); }
#endif
#endif
template <class Vec>
RESBLOCK_INLINE Vec product_of_lower_halves(Vec a, Vec b) {
  for (size_t n = 0; n < sizeof a / sizeof a[0]; ++n) a[n] = int64_t(uint64_t(uint32_t(a[n])) * uint32_t(b[n]));
  return a;
}

template <int N>
struct WideProduct {
  WideWords<N> high, low;
};

template <int N>
RESBLOCK_INLINE WideProduct<N> whole_product(WideWords<N> x, uint32_t y) {
  using Vec = typename WideWords<N>::Vec;
  const Vec product = product_of_lower_halves(x.v, Vec{} + y);
  return {{bit_cast<Vec>(bit_cast<typename WideWords<N>::Unsigned>(product) >> 32)}, {product}};
}

// philox of core/dropout.h; the counter becomes the words. Not one template with it: it costs the CUDA kernels
// registers.
template <int N>
RESBLOCK_INLINE void philox(uint64_t seed, WideWords<N> (&counter)[4]) {
  uint32_t k0 = uint32_t(seed), k1 = uint32_t(seed >> 32);
  RESBLOCK_UNROLL
  for (int round = 0; round < 10; ++round) {
    const WideProduct<N> a = whole_product(counter[0], 0xD2511F53u), b = whole_product(counter[2], 0xCD9E8D57u);
    counter[0] = b.high ^ counter[1] ^ k0;
    counter[1] = b.low;
    counter[2] = a.high ^ counter[3] ^ k1;
    counter[3] = a.low;
    k0 += 0x9E3779B9u;
    k1 += 0xBB67AE85u;
  }
}

// A number for each lane. Words of even and of odd lanes are drawn apart.
template <class V>
struct LaneNumbers {
  static constexpr int W = V::width, N = (W + 1) / 2;
  WideWords<N> even, odd;

  template <class Number>
  explicit LaneNumbers(const Number& number) {
    for (int n = 0; n < N; ++n) {
      even.v[n] = number(2 * n);
      odd.v[n] = number(2 * n + 1);
    }
  }
};

// By which the units 4 * quad .. 4 * quad + 3 of the input of `layer` are multiplied, `t` steps after those that the
// lanes begin with.
template <class V>
inline void dropout_factors(const Dropout& dropout, int64_t layer, const LaneNumbers<V>& begins, int64_t t,
                            const LaneNumbers<V>& sequences, int64_t quad, V (&factor)[4]) {
  using Words = WideWords<LaneNumbers<V>::N>;
  using Vec = typename Words::Vec;
  using Drawn = typename LaneBits<uint32_t, V::width>::Vec;
  Words even[4] = {{Vec{} + uint32_t(quad)}, sequences.even, {begins.even.v + t}, {Vec{} + uint32_t(layer)}};
  Words odd[4] = {even[0], sequences.odd, {begins.odd.v + t}, even[3]};
  philox(dropout.seed, even);
  philox(dropout.seed, odd);
  RESBLOCK_UNROLL
  for (int k = 0; k < 4; ++k) {
    const Vec both = (even[k].v & 0xffffffffu) | odd[k].v << 32;
    Drawn drawn;
    memcpy(&drawn, &both, sizeof drawn);
    // A threshold of 2^32 becomes 0, and the scale is 0 then.
    const auto dropped = __builtin_convertvector(drawn < uint32_t(dropout.threshold), typename V::Mask);
    factor[k] = select(dropped, V(0), V(typename V::Scalar(dropout.scale)));
  }
}
