// Rows of sequences, which is how callers have them, and rows of lanes, which is how the batched schedule computes: the
// first have the units of one sequence side by side, the second one unit of all sequences of a tile. Units are
// transposed in groups of eight.

constexpr int transposed = 8;

// What rows_to_lanes() does to `transposed` vectors, undone: every round moves the first bit of the values' indices to
// the end.
template <class V>
RESBLOCK_INLINE void lanes_to_rows(V* v) {
  constexpr int W = V::width;
  RESBLOCK_UNROLL
  for (int round = 1; round < transposed; round *= 2) {
    V next[transposed];
    RESBLOCK_UNROLL
    for (int k = 0; k < transposed / 2; ++k) {
      next[2 * k] = shuffled(v[k], v[k + transposed / 2], [](int n) { return n / 2 + n % 2 * W; });
      next[2 * k + 1] = shuffled(v[k], v[k + transposed / 2], [](int n) { return (n + W) / 2 + (n + W) % 2 * W; });
    }
    RESBLOCK_UNROLL
    for (int k = 0; k < transposed; ++k) v[k] = next[k];
  }
}

// Stores `transposed` vectors as rows that begin every `stride` values: two to a vector, one, or a part of one.
template <class V>
RESBLOCK_INLINE void store_transposed(const V* v, typename V::Scalar* to, int64_t stride) {
  constexpr int W = V::width;
  static_assert(W <= 2 * transposed);
  RESBLOCK_UNROLL
  for (int k = 0; k < transposed; ++k) {
    if constexpr (W <= transposed) {
      v[k].store(to + k * W / transposed * stride + k * W % transposed);
    } else {
      const auto low = __builtin_shufflevector(v[k].v, v[k].v, 0, 1, 2, 3, 4, 5, 6, 7);
      const auto high = __builtin_shufflevector(v[k].v, v[k].v, 8, 9, 10, 11, 12, 13, 14, 15);
      memcpy(to + 2 * k * stride, &low, sizeof low);
      memcpy(to + (2 * k + 1) * stride, &high, sizeof high);
    }
  }
}

// (used, width) to (width, lanes). Idle lanes become zero.
template <class V, class S>
inline void load_lanes(const S* from, int64_t used, int64_t width, Arithmetic<S>* to) {
  using A = Arithmetic<S>;
  constexpr int W = V::width;
  const bool one_piece = sizeof(S) == sizeof(A) && used == W && width == transposed;
  for (int64_t first = 0; first < width; first += transposed) {
    const int64_t count = width - first < transposed ? width - first : transposed;
    A copy[W * transposed];
    if (used < W || count < transposed) zero(copy, W * transposed);
    for (int64_t n = 0; n < used && !one_piece; ++n) {
      const S* row = from + n * width + first;
      if (count == transposed)  // a length the compiler knows
        load_row(row, transposed, copy + n * transposed);
      else
        load_row(row, count, copy + n * transposed);
    }
    const A* rows = one_piece ? reinterpret_cast<const A*>(from) : copy;
    V v[transposed];
    RESBLOCK_UNROLL
    for (int k = 0; k < transposed; ++k) v[k] = V::load(rows + k * W);
    rows_to_lanes<transposed>(v);
    for (int64_t k = 0; k < count; ++k) v[k].store(to + (first + k) * W);
  }
}

// (width, lanes) to rows of the sequences in use, which begin every `stride` values.
template <class V, class S>
inline void store_lanes(const Arithmetic<S>* from, int64_t used, int64_t width, S* to, int64_t stride) {
  using A = Arithmetic<S>;
  constexpr int W = V::width;
  for (int64_t first = 0; first < width; first += transposed) {
    const int64_t count = width - first < transposed ? width - first : transposed;
    V v[transposed];
    RESBLOCK_UNROLL
    for (int k = 0; k < transposed; ++k) v[k] = V::load(from + (first + (k < count ? k : 0)) * W);
    lanes_to_rows(v);
    if (sizeof(S) == sizeof(A) && used == W && count == transposed) {
      store_transposed(v, reinterpret_cast<A*>(to + first), stride);
      continue;
    }
    A copy[W * transposed];
    store_transposed(v, copy, transposed);
    for (int64_t n = 0; n < used; ++n) store_row(copy + n * transposed, count, to + n * stride + first);
  }
}

// The same of `transposed` units and all lanes, past the caches.
template <class V>
inline void store_lanes_past_caches(const typename V::Scalar* from, typename V::Scalar* to) {
  V v[transposed];
  RESBLOCK_UNROLL
  for (int k = 0; k < transposed; ++k) v[k] = V::load(from + k * V::width);
  lanes_to_rows(v);
  RESBLOCK_UNROLL
  for (int k = 0; k < transposed; ++k) store_non_temporal(v[k], to + k * V::width);
}
