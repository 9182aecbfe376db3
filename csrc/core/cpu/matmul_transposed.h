// Products with a right side in rows of K, as the caller has weights.
//
// Included by the per-instruction-set files only, inside their namespace.

// Elements of A B^T with both sides in rows of K: R rows of A with as many rows of B as make a vector of sums.
template <class A, int R>
struct DotTile {
  using V = Lanes<A, vector_lanes<A>>;
  static constexpr int W = V::width, C = W / R;
  const A *left[R], *right[C];

  DotTile(Left<A> a, int64_t m, int64_t M, const A* b, int64_t n, int64_t N, int64_t K) {
    for (int r = 0; r < R; ++r) left[r] = a.data + (m + r < M ? m + r : M - 1) * a.row;
    for (int k = 0; k < C; ++k) right[k] = b + (n + k < N ? n + k : N - 1) * K;
  }

  template <class Part>
  RESBLOCK_INLINE void add(const Part& part, V* sum) const {
    V x[R];
    for (int r = 0; r < R; ++r) x[r] = part.load(left[r]);
    for (int k = 0; k < C; ++k) {
      const V y = part.load(right[k]);
      for (int r = 0; r < R; ++r) sum[r * C + k] += x[r] * y;
    }
  }

  inline void sums(int64_t K, A* to) const {
    V sum[W];
    for (V& s : sum) s = V(A(0));
    int64_t k = 0;
    for (; k + W <= K; k += W) add(Units<V, true>{k, W}, sum);
    if (k < K) add(Units<V, false>{k, K - k}, sum);
    lanes_added(sum);
    sum[0].store(to);
  }
};

template <class A, int R>
inline int64_t dot_rows(int64_t m, int64_t M, int64_t n, int64_t N, int64_t K, Left<A> a, const A* b,
                        Rows<const A> init, Rows<A> c) {
  constexpr int C = DotTile<A, R>::C;
  for (; m < M && (M - m >= R || R == 1); m += R) {
    A sums[R * C];
    DotTile<A, R>(a, m, M, b, n, N, K).sums(K, sums);
    for (int r = 0; r < R; ++r)
      for (int k = 0; k < C && n + k < N; ++k)
        c.data[(m + r) * c.row + n + k] = sums[r * C + k] + init.data[(m + r) * init.row + n + k];
  }
  return m;
}

// C = init + A B^T, B (N, K) in dense rows: weights as the caller has them, read once.
template <class A>
inline void matmul_transposed(int64_t M, int64_t N, int64_t K, Left<A> a, const A* b, Rows<const A> init, Rows<A> c) {
  constexpr int W = vector_lanes<A>, R = W >= 16 ? 4 : W >= 8 ? 2 : 1;
  for (int64_t n = 0; n < N; n += W) {
    const int64_t end = N - n < W ? N : n + W;
    int64_t m = 0;
    if constexpr (R > 1) {
      const int64_t tall = M / R * R;
      for (int64_t k = n; k < end && tall; k += W / R) m = dot_rows<A, R>(0, tall, k, end, K, a, b, init, c);
    }
    dot_rows<A, 1>(m, M, n, end, K, a, b, init, c);
  }
}
