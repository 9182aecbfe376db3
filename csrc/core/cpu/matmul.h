// C = init + A B with the operands as the schedules have them. Each element of A B is summed in the order of k by
// one chain of multiply-adds, whatever tile it falls in, so that results do not depend on how rows are split. The
// init comes last: a sum over many chunks of time is then a sum of partial sums, which rounds less.
//
// Included by the per-instruction-set files only, inside their namespace.

template <class A>
struct Left {  // (M, K), element (m, k) at data[m * row + k * column]
  const A* data;
  int64_t row, column;
};

template <class A>
struct Right {  // (K, N), dense rows of `row` elements, or packed by pack()
  const A* data;
  int64_t row;
  bool packed;
};

template <class A>
struct Rows {  // (M, N), row m at data + m * row; a null init is zero, a row of 0 repeats one row
  A* data;
  int64_t row;
};

// Columns are taken in panels: pairs of full vectors first, then ever narrower ones. A packed right side stores
// panel after panel, so the one that begins at column n begins at n * K.
template <class A, int M, int W, int V>
inline void tile(int64_t K, Left<A> a, const A* b, int64_t b_row, Rows<const A> init, Rows<A> c) {
  using Vec = Lanes<A, W>;
  Vec sum[M][V];
  for (int m = 0; m < M; ++m)
    for (int v = 0; v < V; ++v) sum[m][v] = Vec(A(0));
  for (int64_t k = 0; k < K; ++k) {
    Vec row[V];
    for (int v = 0; v < V; ++v) row[v] = Vec::load(b + k * b_row + v * W);
    for (int m = 0; m < M; ++m) {
      const A x = a.data[m * a.row + k * a.column];
      for (int v = 0; v < V; ++v) sum[m][v] += Vec(x) * row[v];
    }
  }
  for (int m = 0; m < M; ++m)
    for (int v = 0; v < V; ++v) {
      if (init.data) sum[m][v] += Vec::load(init.data + m * init.row + v * W);
      sum[m][v].store(c.data + m * c.row + v * W);
    }
}

template <class A, int M, int W, int V>
inline int64_t tiles_of_height(int64_t m, int64_t M_all, int64_t K, Left<A> a, const A* b, int64_t b_row,
                               Rows<const A> init, Rows<A> c) {
  for (; m + M <= M_all; m += M)
    tile<A, M, W, V>(K, {a.data + m * a.row, a.row, a.column}, b, b_row,
                     {init.data ? init.data + m * init.row : nullptr, init.row}, {c.data + m * c.row, c.row});
  return m;
}

template <class A, int W, int V>
inline void panel(int64_t M, int64_t K, Left<A> a, const A* b, int64_t b_row, Rows<const A> init, Rows<A> c) {
  int64_t m = tiles_of_height<A, RESBLOCK_TILE_ROWS, W, V>(0, M, K, a, b, b_row, init, c);
  m = tiles_of_height<A, 4, W, V>(m, M, K, a, b, b_row, init, c);
  m = tiles_of_height<A, 2, W, V>(m, M, K, a, b, b_row, init, c);
  tiles_of_height<A, 1, W, V>(m, M, K, a, b, b_row, init, c);
}

// Calls visit(n, width of the panel at n as a template argument) for the panels from column n on.
template <int W, int V, class Visit>
inline void panels(int64_t n, int64_t N, const Visit& visit) {
  for (; n + W * V <= N; n += W * V) visit.template operator()<W, V>(n);
  if constexpr (V == 2)
    panels<W, 1>(n, N, visit);
  else if constexpr (W > 1)
    panels<W / 2, 1>(n, N, visit);
}

template <class A>
struct MultiplyPanel {
  int64_t M, K;
  Left<A> a;
  Right<A> b;
  Rows<const A> init;
  Rows<A> c;

  template <int W, int V>
  inline void operator()(int64_t n) const {
    const A* from = b.data + (b.packed ? n * K : n);
    panel<A, W, V>(M, K, a, from, b.packed ? W * V : b.row, {init.data ? init.data + n : nullptr, init.row},
                   {c.data + n, c.row});
  }
};

template <class A>
inline void matmul(int64_t M, int64_t N, int64_t K, Left<A> a, Right<A> b, Rows<const A> init, Rows<A> c) {
  panels<vector_lanes<A>, 2>(0, N, MultiplyPanel<A>{M, K, a, b, init, c});
}

template <class S>
struct PackPanel {
  int64_t K;
  const S* from;  // element (k, n) at from[k * k_stride + n * n_stride]
  int64_t k_stride, n_stride;
  Arithmetic<S>* to;

  template <int W, int V>
  inline void operator()(int64_t n) const {
    Arithmetic<S>* out = to + n * K;
    for (int64_t k = 0; k < K; ++k)
      for (int64_t j = 0; j < W * V; ++j) *out++ = load(from[k * k_stride + (n + j) * n_stride]);
  }
};

template <class S>
inline void pack(int64_t K, int64_t N, const S* from, int64_t k_stride, int64_t n_stride, Arithmetic<S>* to) {
  panels<vector_lanes<Arithmetic<S>>, 2>(0, N, PackPanel<S>{K, from, k_stride, n_stride, to});
}
