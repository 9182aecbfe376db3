// What the schedules do with rows of numbers and with weights.
//
// Included by the per-instruction-set files only, inside their namespace.

template <class A>
inline void copy(const A* from, int64_t n, A* to) {
  if (n) memcpy(to, from, size_t(n) * sizeof(A));  // an array without elements may be null
}

// A place in states (L, B, H), which may be null for zeros.
template <class A>
inline const A* state_at(const A* states, int64_t offset) {
  return states ? states + offset : nullptr;
}

template <class A>
inline void zero(A* row, int64_t n) {
  memset(row, 0, size_t(n) * sizeof(A));
}

template <class A>
inline void load_state(const A* from, int64_t n, A* to) {
  if (from)
    copy(from, n, to);
  else
    zero(to, n);
}

// Into the second-level cache: the saved activations of a chunk would drive everything else from the first.
template <class A>
RESBLOCK_INLINE void prefetch_line(const A* from) {
  __builtin_prefetch(from, 0, 2);
}
template <class A>
inline void prefetch(const A* from, int64_t n) {
  for (int64_t k = 0; k < n; k += cache_line / int64_t(sizeof(A))) prefetch_line(from + k);
}

template <class A>
inline void add(const A* from, int64_t n, A* to) {
  RESBLOCK_INDEPENDENT
  for (int64_t k = 0; k < n; ++k) to[k] += from[k];
}

#if defined(__AVX2__)
RESBLOCK_INLINE __m256i first_lanes_32(int64_t n) {
  return _mm256_cmpgt_epi32(_mm256_set1_epi32(int(n)), _mm256_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7));
}
RESBLOCK_INLINE __m256i first_lanes_64(int64_t n) {
  return _mm256_cmpgt_epi64(_mm256_set1_epi64x(n), _mm256_setr_epi64x(0, 1, 2, 3));
}
#endif

// The rest of a row, shorter than a vector: lanes beyond it are zero, and are not stored.
template <class V, class A>
RESBLOCK_INLINE V load_rest(const A* from, int64_t n) {
#if defined(__AVX512F__)
  if constexpr (sizeof(V) == 64 && sizeof(A) == 4) return V::of(_mm512_maskz_loadu_ps(__mmask16((1u << n) - 1), from));
  if constexpr (sizeof(V) == 64 && sizeof(A) == 8) return V::of(_mm512_maskz_loadu_pd(__mmask8((1u << n) - 1), from));
#endif
#if defined(__AVX2__)
  if constexpr (sizeof(V) == 32 && sizeof(A) == 4) return V::of(_mm256_maskload_ps(from, first_lanes_32(n)));
  if constexpr (sizeof(V) == 32 && sizeof(A) == 8) return V::of(_mm256_maskload_pd(from, first_lanes_64(n)));
#endif
  A lanes[V::width] = {};
  for (int lane = 0; lane < V::width; ++lane)
    if (lane < n) lanes[lane] = from[lane];
  return V::load(lanes);
}

template <class V, class A>
RESBLOCK_INLINE void store_rest(V v, A* to, int64_t n) {
#if defined(__AVX512F__)
  if constexpr (sizeof(V) == 64 && sizeof(A) == 4) return _mm512_mask_storeu_ps(to, __mmask16((1u << n) - 1), v.v);
  if constexpr (sizeof(V) == 64 && sizeof(A) == 8) return _mm512_mask_storeu_pd(to, __mmask8((1u << n) - 1), v.v);
#endif
#if defined(__AVX2__)
  if constexpr (sizeof(V) == 32 && sizeof(A) == 4) return _mm256_maskstore_ps(to, first_lanes_32(n), v.v);
  if constexpr (sizeof(V) == 32 && sizeof(A) == 8) return _mm256_maskstore_pd(to, first_lanes_64(n), v.v);
#endif
  A lanes[V::width];
  v.store(lanes);
  for (int lane = 0; lane < V::width; ++lane)
    if (lane < n) to[lane] = lanes[lane];
}

// Some neighbouring units of a row: as many as a vector has lanes, or the last few of them.
template <class V, bool whole>
struct Units {
  using Vec = V;
  using A = typename V::Scalar;
  int64_t first, count;

  RESBLOCK_INLINE V load(const A* row) const {
    if constexpr (whole) return V::load(row + first);
    return load_rest<V>(row + first, count);
  }
  RESBLOCK_INLINE void store(V v, A* row) const {
    if constexpr (whole) return v.store(row + first);
    store_rest(v, row + first, count);
  }
};

// Calls visit with the Units of a row: two vectors together where wanted and as far as there are two, then one by one.
template <class A, int together = 1, class Visit>
RESBLOCK_INLINE void for_units(int64_t H, const Visit& visit) {
  using V = Lanes<A, vector_lanes<A>>;
  int64_t u = 0;
  if constexpr (together == 2)
    for (; u + 2 * V::width <= H; u += 2 * V::width) visit(Units<Two<V>, true>{u, 2 * V::width});
  for (; u + V::width <= H; u += V::width) visit(Units<V, true>{u, V::width});
  if (u < H) visit(Units<V, false>{u, H - u});
}

// The weights of one layer as the caller has them.
template <class A>
struct LayerSource {
  const A *ih, *hh, *bias, *peephole;
};

template <class A>
RESBLOCK_INLINE LayerSource<A> layer_source(const Sizes& s, const Weights<const A>& w, int64_t layer) {
  const int64_t H = s.H;
  return {layer ? w.ih + (layer - 1) * 4 * H * H : w.ih_first, w.hh + layer * 4 * H * H, w.bias + layer * 4 * H,
          w.peephole + layer * 3 * H};
}

template <class A>
RESBLOCK_INLINE LayerSource<A> layer_source(const Inputs<A>& p, int64_t layer) {
  return layer_source(p.size, p.weights, layer);
}

// Biases and peepholes.
template <class A>
void load_small(const Inputs<A>& p, int64_t layer, A* bias, A* peephole) {
  copy(layer_source(p, layer).bias, 4 * p.size.H, bias);
  copy(layer_source(p, layer).peephole, 3 * p.size.H, peephole);
}

// Where the gradients of a layer's weights are wanted; null where they are not.
template <class A>
struct LayerGradients {
  A *ih, *hh, *bias, *peephole;
};

template <class A>
RESBLOCK_INLINE LayerGradients<A> wanted_gradients(const Backward<A>& p, int64_t layer) {
  const int64_t H = p.size.H;
  const Weights<A>& to = p.grad_weights;
  const auto of_layer = [=](A* stacked, int64_t size) { return stacked ? stacked + layer * size : nullptr; };
  return {layer ? to.ih ? to.ih + (layer - 1) * 4 * H * H : nullptr : to.ih_first, of_layer(to.hh, 4 * H * H),
          of_layer(to.bias, 4 * H), of_layer(to.peephole, 3 * H)};
}

template <class A>
void store_gradients(const Backward<A>& p, int64_t groups, A* gradients, int64_t layer) {
  const int64_t H = p.size.H, all = packed_size(p.size);
  const PackedLayer o = packed_layer(p.size, layer);
  const LayerGradients<A> to = wanted_gradients(p, layer);
  const auto store = [=](int64_t from, int64_t n, A* wanted) {
    if (!wanted) return;
    for (int64_t group = 1; group < groups; ++group) add(gradients + group * all + from, n, gradients + from);
    copy(gradients + from, n, wanted);
  };
  store(o.ih, 4 * H * o.inputs, to.ih);
  store(o.hh, 4 * H * H, to.hh);
  store(o.bias, 4 * H, to.bias);
  store(o.peephole, 3 * H, to.peephole);
}
