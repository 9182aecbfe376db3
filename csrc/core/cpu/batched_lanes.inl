// Rows of sequences, which is how callers have them, and rows of lanes, which is how the batched schedule computes: the
// first have the units of one sequence side by side, the second one unit of all sequences of a tile. Units are turned
// in groups of eight.

constexpr int turned = 8;

// What rows_to_lanes() does to `turned` vectors, undone: every turn moves the first bit of the values' indices to the
// end.
template <class V>
RESBLOCK_INLINE void lanes_to_rows(V* v) {
  typename V::Mask low{}, high{};
  for (int n = 0; n < V::width; ++n) {
    low[n] = n / 2 + n % 2 * V::width;
    high[n] = (n + V::width) / 2 + (n + V::width) % 2 * V::width;
  }
  RESBLOCK_UNROLL
  for (int turn = 1; turn < turned; turn *= 2) {
    V next[turned];
    RESBLOCK_UNROLL
    for (int k = 0; k < turned / 2; ++k) {
      next[2 * k] = V::of(__builtin_shuffle(v[k].v, v[k + turned / 2].v, low));
      next[2 * k + 1] = V::of(__builtin_shuffle(v[k].v, v[k + turned / 2].v, high));
    }
    RESBLOCK_UNROLL
    for (int k = 0; k < turned; ++k) v[k] = next[k];
  }
}

// Stores `turned` vectors as rows that begin every `stride` values: two to a vector, one, or a part of one.
template <class V>
RESBLOCK_INLINE void store_turned(const V* v, typename V::Scalar* to, int64_t stride) {
  constexpr int W = V::width;
  static_assert(W <= 2 * turned);
  RESBLOCK_UNROLL
  for (int k = 0; k < turned; ++k) {
    if constexpr (W <= turned) {
      v[k].store(to + k * W / turned * stride + k * W % turned);
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
  const bool one_piece = sizeof(S) == sizeof(A) && used == W && width == turned;
  for (int64_t first = 0; first < width; first += turned) {
    const int64_t count = width - first < turned ? width - first : turned;
    A copy[W * turned];
    if (used < W || count < turned) zero(copy, W * turned);
    for (int64_t n = 0; n < used && !one_piece; ++n) {
      const S* row = from + n * width + first;
      if (count == turned)  // a length the compiler knows
        load_row(row, turned, copy + n * turned);
      else
        load_row(row, count, copy + n * turned);
    }
    const A* rows = one_piece ? reinterpret_cast<const A*>(from) : copy;
    V v[turned];
    RESBLOCK_UNROLL
    for (int k = 0; k < turned; ++k) v[k] = V::load(rows + k * W);
    rows_to_lanes<turned>(v);
    for (int64_t k = 0; k < count; ++k) v[k].store(to + (first + k) * W);
  }
}

// (width, lanes) to rows of the sequences in use, which begin every `stride` values.
template <class V, class S>
inline void store_lanes(const Arithmetic<S>* from, int64_t used, int64_t width, S* to, int64_t stride) {
  using A = Arithmetic<S>;
  constexpr int W = V::width;
  for (int64_t first = 0; first < width; first += turned) {
    const int64_t count = width - first < turned ? width - first : turned;
    V v[turned];
    RESBLOCK_UNROLL
    for (int k = 0; k < turned; ++k) v[k] = V::load(from + (first + (k < count ? k : 0)) * W);
    lanes_to_rows(v);
    if (sizeof(S) == sizeof(A) && used == W && count == turned) {
      store_turned(v, reinterpret_cast<A*>(to + first), stride);
      continue;
    }
    A copy[W * turned];
    store_turned(v, copy, turned);
    for (int64_t n = 0; n < used; ++n) store_row(copy + n * turned, count, to + n * stride + first);
  }
}

// The same of `turned` units and all lanes, past the caches.
template <class V>
inline void stream_lanes(const typename V::Scalar* from, typename V::Scalar* to) {
  V v[turned];
  RESBLOCK_UNROLL
  for (int k = 0; k < turned; ++k) v[k] = V::load(from + k * V::width);
  lanes_to_rows(v);
  RESBLOCK_UNROLL
  for (int k = 0; k < turned; ++k) stream(v[k], to + k * V::width);
}
