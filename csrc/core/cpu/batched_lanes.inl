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

// The rows of a tile's lanes: lane n has row n from `first` on, or order[n].
template <class A>
struct LaneRows {
  A* first;
  const int64_t* order = nullptr;

  RESBLOCK_INLINE A* row(int64_t lane, int64_t stride) const { return first + (order ? order[lane] : lane) * stride; }
};

// Rows (used, width) to (width, lanes). Idle lanes become zero.
template <class V, class A>
inline void load_lanes(const LaneRows<const A>& from, int64_t used, int64_t width, A* to) {
  constexpr int W = V::width;
  const bool one_piece = used == W && width == transposed && !from.order;
  for (int64_t first = 0; first < width; first += transposed) {
    const int64_t count = width - first < transposed ? width - first : transposed;
    A gathered[W * transposed];
    if (used < W || count < transposed) zero(gathered, W * transposed);
    for (int64_t n = 0; n < used && !one_piece; ++n) {
      const A* row = from.row(n, width) + first;
      if (count == transposed)  // a length the compiler knows
        copy(row, transposed, gathered + n * transposed);
      else
        copy(row, count, gathered + n * transposed);
    }
    const A* rows = one_piece ? from.first : gathered;
    V v[transposed];
    RESBLOCK_UNROLL
    for (int k = 0; k < transposed; ++k) v[k] = V::load(rows + k * W);
    rows_to_lanes<transposed>(v);
    for (int64_t k = 0; k < count; ++k) v[k].store(to + (first + k) * W);
  }
}

// (width, lanes) to rows of the sequences in use, which begin every `stride` values.
template <class V, class A>
inline void store_lanes(const A* from, int64_t used, int64_t width, const LaneRows<A>& to, int64_t stride) {
  constexpr int W = V::width;
  for (int64_t first = 0; first < width; first += transposed) {
    const int64_t count = width - first < transposed ? width - first : transposed;
    V v[transposed];
    RESBLOCK_UNROLL
    for (int k = 0; k < transposed; ++k) v[k] = V::load(from + (first + (k < count ? k : 0)) * W);
    lanes_to_rows(v);
    if (used == W && count == transposed && !to.order) {
      store_transposed(v, to.first + first, stride);
      continue;
    }
    A rows[W * transposed];
    store_transposed(v, rows, transposed);
    for (int64_t n = 0; n < used; ++n) copy(rows + n * transposed, count, to.row(n, stride) + first);
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
