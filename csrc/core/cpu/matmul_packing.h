// Lays out the sides of a product as its tiles read them.
//
// Included by the per-instruction-set files only, inside their namespace.

// Packs a panel of the right side from dense rows (K, N).
template <class A>
struct PackPanel {
  int64_t K, N;
  const A* from;
  A* to;

  template <class Panel>
  inline void operator()(int64_t n, int64_t, Panel panel) const {
    const int64_t width = panel.width();
    for (int64_t k = 0; k < K; ++k) copy(from + k * N + n, width, to + n * K + k * width);
  }
};

// And from dense rows (N, K), in squares of as many vectors as a vector has lanes, which are transposed.
template <class A>
struct PackPanelTransposed {
  int64_t K;
  const A* from;
  A* to;

  template <class Columns>
  inline void columns(const A* source, const Columns& lanes, int64_t width, A* out) const {
    using Vec = typename Columns::Vec;
    constexpr int W = Vec::width;
    int64_t k = 0;
    for (; k + W <= K; k += W) {
      Vec v[W];
      for (int j = 0; j < W; ++j) v[j] = j < lanes.count ? Vec::load(source + j * K + k) : Vec(A(0));
      rows_to_lanes<W>(v);
      for (int j = 0; j < W; ++j) lanes.store(v[j], out + (k + j) * width);
    }
    for (; k < K; ++k)
      for (int j = 0; j < lanes.count; ++j) out[k * width + j] = source[j * K + k];
  }

  template <class Panel>
  inline void operator()(int64_t n, int64_t, Panel panel) const {
    for (int v = 0; v < Panel::vectors; ++v)
      columns(from + (n + v * vector_lanes<A>)*K, panel.lanes(), panel.width(), to + n * K + v * vector_lanes<A>);
  }
};

template <class A>
struct PackTile {
  int64_t K;
  const A* from;
  int64_t column;
  A* to;

  template <int height>
  inline void operator()(int64_t m) const {
    for (int64_t k = 0; k < K; ++k) copy(from + k * column + m, height, to + m * K + k * height);
  }
};

// Packs a left side whose rows are neighbours: element (m, k) at from[m + k * column].
template <class A>
inline Left<A> pack_left(int64_t M, int64_t K, const A* from, int64_t column, A* to) {
  row_tiles(M, PackTile<A>{K, from, column, to});
  return {to, 0, 0, true};
}

constexpr int64_t multiply_adds_worth_packing = 8;  // what packing a value takes

template <class A, class Pack>
inline void pack_panels(const Parallel& parallel, int64_t K, int64_t N, const Pack& pack) {
  in_parts(parallel, N, panel_columns<A>, K * N * multiply_adds_worth_packing,
           [&](int64_t n, int64_t end) { panels<A>(n, end, 1, pack); });
}

// Packs a right side (K, N) that stands in dense rows, or whose transpose does.
template <class A>
inline void pack_right(const Parallel& parallel, int64_t K, int64_t N, const A* from, A* to) {
  pack_panels<A>(parallel, K, N, PackPanel<A>{K, N, from, to});
}

template <class A>
inline void pack_right_transposed(const Parallel& parallel, int64_t K, int64_t N, const A* from, A* to) {
  pack_panels<A>(parallel, K, N, PackPanelTransposed<A>{K, from, to});
}
