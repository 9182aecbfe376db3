// C = init + A B with the operands as the schedules have them. How an element of A B is summed is a matter of K alone,
// whatever tile it falls in, so that results do not depend on how rows and columns are split. The init comes after a
// part of the sum: one over many chunks of time is then a sum of partial sums, which rounds less.
//
// Included by the per-instruction-set files only, inside their namespace.

template <class A>
struct Left {  // (M, K), element (m, k) at data[m * row + k * column], or packed by pack_left()
  const A* data;
  int64_t row, column;
  bool packed = false;
};

template <class A>
struct Right {  // (K, N), dense rows of `row` elements, or packed by pack_right()
  const A* data;
  int64_t row;
  bool packed;
};

template <class A>
struct Rows {  // (M, N), row m at data + m * row; a null init is zero, a row of 0 repeats one row
  A* data;
  int64_t row;
};

// Columns are taken in panels: pairs of vectors first, then one vector, then what is left, in the first lanes of one. A
// packed right side stores panel after panel, so the one that begins at column n begins at n * K. A tile is some rows
// of P neighbouring panels.
template <class A>
struct Panels {
  const A* data;
  int64_t row, next;  // from one row, and from one panel, to the next
};

template <class A>
constexpr int panel_columns = 2 * vector_lanes<A>;

// Keeps a pointer or an offset as it is: compilers would work out anew, at every k, what a pointer is a multiple of a
// stride away from, and make every loop twice, for a stride of 1 and for others.
template <class T>
RESBLOCK_INLINE void pin(T& value) {
  asm("" : "+r"(value));
}

template <class A, int M, int P, class Panel>
inline void tile(int64_t K, Panel panel, Left<A> a, Panels<A> b, Rows<const A> init, Rows<A> c) {
  const auto lanes = panel.lanes();
  using Vec = typename decltype(panel.lanes())::Vec;
  constexpr int V = Panel::vectors, W = Vec::width, N = V * P;
  Vec sum[M][N];
  const A* left[M];
  RESBLOCK_UNROLL
  for (int m = 0; m < M; ++m) {
    left[m] = a.data + m * a.row;
    RESBLOCK_UNROLL
    for (int n = 0; n < N; ++n) {
      sum[m][n] = Vec(A(0));
      __builtin_prefetch(c.data + m * c.row + n * W, 1);
    }
  }
  for (int64_t k = 0, at = 0; k < K; ++k, at += a.column) {
    Vec row[N];
    RESBLOCK_UNROLL
    for (int n = 0; n < N; ++n) row[n] = lanes.load(b.data + k * b.row + n / V * b.next + n % V * W);
    pin(at);
    RESBLOCK_UNROLL
    for (int m = 0; m < M; ++m) {
      pin(left[m]);
      const Vec x(left[m][at]);
      RESBLOCK_UNROLL
      for (int n = 0; n < N; ++n) sum[m][n] += x * row[n];
    }
  }
  for (int m = 0; m < M; ++m)
    for (int n = 0; n < N; ++n) {
      if (init.data) sum[m][n] += lanes.load(init.data + m * init.row + n * W);
      lanes.store(sum[m][n], c.data + m * c.row + n * W);
    }
}

// Rows are split into tiles of nearly the same height. Calls visit.operator()<height>(first row).
template <int height, class Visit>
RESBLOCK_INLINE void visit_height(int64_t rows, int64_t m, const Visit& visit) {
  if (rows == height) return visit.template operator()<height>(m);
  if constexpr (height > 1) visit_height<height - 1>(rows, m, visit);
}

template <class Visit>
inline void row_tiles(int64_t M, const Visit& visit) {
  const int64_t tiles = (M + RESBLOCK_TILE_ROWS - 1) / RESBLOCK_TILE_ROWS;
  for (int64_t k = 0; k < tiles; ++k) {
    const int64_t m = k * M / tiles, end = (k + 1) * M / tiles;
    visit_height<RESBLOCK_TILE_ROWS>(end - m, m, visit);
  }
}

// So many panels at a time that few rows fill the pipeline of multiply-adds as well.
template <int V>
constexpr int panels_at_once(int height) {
  int panels = V == 2 ? 4 : 1;
  while (panels > 1 && panels * height > RESBLOCK_TILE_ROWS) panels /= 2;
  return panels;
}

// A packed left side stores tile after tile, (K, height): the one that begins at row m begins at m * K.
template <class A>
RESBLOCK_INLINE Left<A> rows_from(const Left<A>& a, int64_t m, int height, int64_t K) {
  if (a.packed) return {a.data + m * K, 1, height};
  return {a.data + m * a.row, a.row, a.column};
}

// The products [first, end) of every sum.
struct Depth {
  int64_t first, end;
};

template <class A, class Panel>
struct MultiplyTile {
  int64_t K, count;  // of neighbouring panels
  Panel panel;
  Depth depth;
  Left<A> a;
  Panels<A> b;
  Rows<const A> init;
  Rows<A> c;

  template <int height, int P>
  inline int64_t tiles(int64_t m, int64_t k) const {
    Left<A> left = rows_from(a, m, height, K);
    left.data += depth.first * left.column;
    for (; k + P <= count; k += P)
      tile<A, height, P>(depth.end - depth.first, panel, left,
                         {b.data + depth.first * b.row + k * b.next, b.row, b.next},
                         {init.data ? init.data + m * init.row + k * panel.width() : nullptr, init.row},
                         {c.data + m * c.row + k * panel.width(), c.row});
    return k;
  }

  template <int height>
  inline void operator()(int64_t m) const {
    constexpr int P = panels_at_once<Panel::vectors>(height);
    int64_t k = tiles<height, P>(m, 0);
    if constexpr (P > 2) k = tiles<height, 2>(m, k);
    if constexpr (P > 1) tiles<height, 1>(m, k);
  }
};

// Some whole vectors, or the first lanes of one.
template <class A, int W, int V>
struct WholePanel {
  static constexpr int vectors = V;
  RESBLOCK_INLINE int64_t width() const { return V * W; }
  RESBLOCK_INLINE Units<Lanes<A, W>, true> lanes() const { return {0, W}; }
};
template <class A>
struct LastPanel {
  static constexpr int vectors = 1;
  int64_t columns;
  RESBLOCK_INLINE int64_t width() const { return columns; }
  RESBLOCK_INLINE Units<Lanes<A, vector_lanes<A>>, false> lanes() const { return {0, columns}; }
};

// Calls visit(n, count, panel) for `count` neighbouring panels of a kind from column n on.
template <class A, class Visit>
inline void panels(int64_t n, int64_t N, int64_t at_once, const Visit& visit) {
  constexpr int W = vector_lanes<A>;
  for (int64_t count; n + 2 * W <= N; n += count * 2 * W) {
    count = (N - n) / (2 * W);
    if (count > at_once) count = at_once;
    visit(n, count, WholePanel<A, W, 2>());
  }
  if (n + W <= N) {
    visit(n, 1, WholePanel<A, W, 1>());
    n += W;
  }
  if (n + W / 2 == N) return visit(n, 1, WholePanel<A, W / 2, 1>());
  if (n < N) visit(n, 1, LastPanel<A>{N - n});
}

template <class A>
struct MultiplyPanels {
  int64_t M, K;
  Left<A> a;
  Right<A> b;
  Rows<const A> init;
  Rows<A> c;

  // In parts of K that leave a panel of the widest kind in the first-level cache.
  template <class Panel>
  inline void operator()(int64_t n, int64_t count, Panel panel) const {
    const int64_t bytes = int64_t(32) << 10, deepest = bytes / (panel_columns<A> * int64_t(sizeof(A)));
    const int64_t parts = K > deepest ? (K + deepest - 1) / deepest : 1;
    const int64_t width = panel.width();
    const Panels<A> from = {b.data + (b.packed ? n * K : n), b.packed ? width : b.row, b.packed ? width * K : width};
    const Rows<A> to = {c.data + n, c.row};
    Rows<const A> start = {init.data ? init.data + n : nullptr, init.row};
    for (int64_t part = 0; part < parts; ++part, start = {to.data, to.row})
      row_tiles(
          M, MultiplyTile<A, Panel>{K, count, panel, {part * K / parts, (part + 1) * K / parts}, a, from, start, to});
  }
};

// A panel is read by all rows before the next one: it stays in the first-level cache. With few rows, or where the whole
// right side is that small, it is the rows of C that are finished one after the other.
template <class A>
inline void matmul(int64_t M, int64_t N, int64_t K, Left<A> a, Right<A> b, Rows<const A> init, Rows<A> c) {
  const int64_t at_once = M <= RESBLOCK_TILE_ROWS || K <= 8 ? N : 1;
  panels<A>(0, N, at_once, MultiplyPanels<A>{M, K, a, b, init, c});
}

// The same in slices of columns, from the last to the first if `back`: of a right side that is used at every step and
// is larger than a cache, what one step read last is still there when the next begins with it.
template <class A>
inline void matmul_in_slices(bool back, int64_t M, int64_t N, int64_t K, Left<A> a, const A* packed, Rows<const A> init,
                             Rows<A> c) {
  const int64_t values = int64_t(1) << 17, panel = panel_columns<A>;  // K is 0 where there are no inputs
  const int64_t slice = values / (K + 1) / panel * panel + panel, slices = (N + slice - 1) / slice;
  for (int64_t k = 0; k < slices; ++k) {
    const int64_t n = (back ? slices - 1 - k : k) * slice, rest = N - n;
    matmul<A>(M, rest < slice ? rest : slice, K, a, {packed + n * K, 0, true},
              {init.data ? init.data + n : nullptr, init.row}, {c.data + n, c.row});
  }
}

// The same with the right side as the caller has it, read once from memory: row after row.
template <class A>
inline void matmul_in_rows(int64_t M, int64_t N, int64_t K, Left<A> a, Right<A> b, Rows<const A> init, Rows<A> c) {
  const int64_t rows = 16;
  for (int64_t k = 0; k < K; k += rows) {
    matmul<A>(M, N, K - k < rows ? K - k : rows, {a.data + k * a.column, a.row, a.column},
              {b.data + k * b.row, b.row, false}, init, c);
    init = {c.data, c.row};
  }
}

// Calls body(begin, end) for parts of [0, count) that begin at multiples of `step`, side by side if the whole takes
// so many multiply-adds that a part is worth a thread. The parts share no sum: results do not depend on how many.
template <class Body>
inline void in_parts(const Parallel& parallel, int64_t count, int64_t step, int64_t multiply_adds, const Body& body) {
  const int64_t worth_thread = int64_t(1) << 17, steps = (count + step - 1) / step;
  int64_t parts = multiply_adds / worth_thread;
  if (parts > parallel.threads) parts = parallel.threads;
  if (parts > steps) parts = steps;
  if (parts <= 1) return body(int64_t(0), count);
  auto part = [&](int64_t k) {
    const int64_t begin = k * steps / parts * step, end = (k + 1) * steps / parts * step;
    body(begin, end < count ? end : count);
  };
  parallel.run(
      parallel.context, parts,
      [](const void* argument, int64_t k) { (*static_cast<const decltype(part)*>(argument))(k); }, &part);
}
