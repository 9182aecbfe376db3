// The backward pass of one group of tiles.

// Columns of the transposed weights: per input of the layer, then per unit of its own h, the 4H gates it feeds.
constexpr int column_group = 8;

template <class S>
struct PackColumns {
  const S* w;
  int64_t gates, columns;  // w is (gates, columns)
  Arithmetic<S>* to;

  template <int G>
  void operator()(int64_t column) const {
    Arithmetic<S>* out = to + column * gates;
    for (int64_t j = 0; j < gates; ++j)
      for (int k = 0; k < G; ++k) *out++ = load(w[j * columns + column + k]);
  }
};

template <class S>
void pack_columns(const Inputs<S>& p, int64_t layer, Arithmetic<S>* packed) {
  const PackedLayer o = packed_layer(p.size, layer);
  const LayerSource<S> w = layer_source(p, layer);
  const int64_t H = p.size.H;
  column_groups<column_group>(0, o.inputs, PackColumns<S>{w.ih, 4 * H, o.inputs, packed + o.ih});
  column_groups<column_group>(0, H, PackColumns<S>{w.hh, 4 * H, H, packed + o.hh});
  pack_small(p, layer, packed);
}

template <class A>
struct BackwardTileScratch {
  A *x, *h_before, *dz, *dx, *dy[3];  // of one chunk: (steps, inputs, H or 4H, lanes)
  A* dpeephole;                       // (3, H, lanes)
  A *dh, *dc;                         // (L, H, lanes), carried from chunk to chunk
  A* dh_next;                         // (H, lanes)

  BackwardTileScratch(const Sizes& s, const Tiling& tiling, Arena<A>& arena) {
    const int64_t rows = tiling.steps * tiling.lanes, states = s.L * s.H * tiling.lanes;
    x = arena.take(rows * (s.I > s.H ? s.I : s.H));
    h_before = arena.take(rows * s.H);
    dz = arena.take(rows * 4 * s.H);
    dx = arena.take(rows * s.I);
    for (A*& plane : dy) plane = arena.take(rows * s.H);
    dpeephole = arena.take(3 * s.H * tiling.lanes);
    dh = arena.take(states);
    dc = arena.take(states);
    dh_next = arena.take(s.H * tiling.lanes);
  }
};

template <class A>
int64_t backward_tile_workspace(const Sizes& s, const Tiling& tiling) {
  Arena<A> arena{nullptr};
  BackwardTileScratch<A>(s, tiling, arena);
  return arena.used;
}

// to = W^T dz for one step.
template <class V, class A>
struct ColumnsBackward {
  int64_t gates;
  const A *weights, *dz;
  A* to;

  template <int G>
  RESBLOCK_INLINE void operator()(int64_t column) const {
    const A* w = weights + column * gates;
    V sum[G];
    for (int k = 0; k < G; ++k) sum[k] = V(A(0));
    for (int64_t j = 0; j < gates; ++j, w += G) {
      const V d = V::load(dz + j * V::width);
      for (int k = 0; k < G; ++k) sum[k] += V(w[k]) * d;
    }
    for (int k = 0; k < G; ++k) sum[k].store(to + (column + k) * V::width);
  }
};

// The state before a step: of the step before, as it was kept, or the initial one.
template <class V, class S>
struct StateBefore {
  using A = Arithmetic<S>;
  KeptRows<const A> kept;
  const S *h_0, *c_0;  // of the layer and the tile's first sequence
  int64_t H, used;
  bool first;

  StateBefore(const Backward<S>& p, const TileWindow& w, int64_t layer, int64_t t)
      : kept(kept_rows(p.saved, p.size, w, layer, t ? t - 1 : 0)),
        h_0(p.h_0 + (layer * p.size.B + w.b0) * p.size.H),
        c_0(p.c_0 + (layer * p.size.B + w.b0) * p.size.H),
        H(p.size.H),
        used(w.used),
        first(t == 0) {}

  RESBLOCK_INLINE V initial(const S* from, int64_t unit) const {
    A lanes[V::width] = {};
    for (int64_t n = 0; n < used; ++n) lanes[n] = resblock::load(from[n * H + unit]);
    return V::load(lanes);
  }
  RESBLOCK_INLINE V c(int64_t unit) const { return first ? initial(c_0, unit) : kept.template load<V>(4 * H + unit); }
  RESBLOCK_INLINE V h(int64_t unit) const {
    if (first) return initial(h_0, unit);
    return kept.template load<V>(3 * H + unit) * tanh(kept.template load<V>(4 * H + unit));
  }
};

template <bool previous, class V, class S, class A>
inline void step_backward(const Backward<S>& p, const TileWindow& w, const Running<V>& running, int64_t layer,
                          int64_t t, const A* peephole, const A* dy, const BackwardTileScratch<A>& scratch, A* dh,
                          A* dc, A* dz, A* h_before) {
  const int64_t H = p.size.H;
  const KeptRows<const A> kept = kept_rows(p.saved, p.size, w, layer, w.t0 + t);
  const StateBefore<V, S> before(p, w, layer, w.t0 + t);
  const V none = V(A(0));
  for (int64_t u = 0; u < H; ++u) {
    const Gates<V> gate = {kept.template load<V>(u), kept.template load<V>(H + u), kept.template load<V>(2 * H + u),
                           kept.template load<V>(3 * H + u)};
    const Peephole<V> pw = {V(peephole[u]), V(peephole[H + u]), V(peephole[2 * H + u])};
    const V c_before = before.c(u), c = kept.template load<V>(4 * H + u);
    const V dc_before = V::load(dc + u * V::width);
    V dc_now = dc_before;
    Gates<V> d = cell_backward<previous, V>(gate, pw, c_before, c,
                                            V::load(dy + u * V::width) + V::load(dh + u * V::width), dc_now);
    d = {running.select(t, d.i, none), running.select(t, d.f, none), running.select(t, d.g, none),
         running.select(t, d.o, none)};
    running.select(t, dc_now, dc_before).store(dc + u * V::width);
    d.i.store(dz + u * V::width);
    d.f.store(dz + (H + u) * V::width);
    d.g.store(dz + (2 * H + u) * V::width);
    d.o.store(dz + (3 * H + u) * V::width);
    running.select(t, before.h(u), none).store(h_before + u * V::width);
    const V seen[] = {c_before, c_before, previous ? c_before : c}, gates[] = {d.i, d.f, d.o};
    for (int k = 0; k < 3; ++k) {
      A* sum = scratch.dpeephole + (k * H + u) * V::width;
      (V::load(sum) + running.select(t, gates[k] * seen[k], none)).store(sum);
    }
  }
}

// Sums of lanes, always in the same order. merge: two vectors of blocks of 2 * half become one of blocks of half.
template <int half, class V>
RESBLOCK_INLINE V merge(V a, V b) {
  using Index = typename V::Mask;
  Index low{}, high{};
  for (int k = 0; k < V::width; ++k) {
    low[k] = (k / half) * 2 * half + k % half;
    high[k] = low[k] + half;
  }
  return V::of(__builtin_shuffle(a.v, b.v, low)) + V::of(__builtin_shuffle(a.v, b.v, high));
}

// V::width vectors become one, v[0], of the sums over their lanes.
template <class V, int half = V::width / 2>
RESBLOCK_INLINE void sum_lanes(V* v) {
  for (int k = 0; k < half; ++k) v[k] = merge<half>(v[2 * k], v[2 * k + 1]);
  if constexpr (half > 1) sum_lanes<V, half / 2>(v);
}

// gradient[row][column .. column + C) += the sums over steps and lanes of dz[row] x[column], for R rows.
template <class V, int R, int C, class A>
inline void outer_products(int64_t steps, const A* dz, int64_t dz_step, const A* x, int64_t x_step, A* gradient,
                           int64_t gradient_row) {
  constexpr int W = V::width, vectors = (R * C + W - 1) / W * W;
  V sum[vectors];
  for (V& s : sum) s = V(A(0));
  for (int64_t t = 0; t < steps; ++t) {
    V column[C];
    for (int k = 0; k < C; ++k) column[k] = V::load(x + t * x_step + k * W);
    for (int j = 0; j < R; ++j) {
      const V d = V::load(dz + t * dz_step + j * W);
      for (int k = 0; k < C; ++k) sum[j * C + k] += d * column[k];
    }
  }
  A total[vectors];
  for (int first = 0; first < vectors; first += W) {
    sum_lanes(sum + first);
    sum[first].store(total + first);
  }
  for (int j = 0; j < R; ++j)
    for (int k = 0; k < C; ++k) gradient[j * gradient_row + k] += total[j * C + k];
}

template <class V, class A>
struct WeightGradientColumns {
  int64_t steps, H, inputs;
  const A *dz, *x;
  A* gradient;

  template <int C>
  inline void operator()(int64_t column) const {
    for (int64_t j = 0; j < 4 * H; j += 4)
      outer_products<V, 4, C>(steps, dz + j * V::width, 4 * H * V::width, x + column * V::width, inputs * V::width,
                              gradient + j * inputs + column, inputs);
  }
};

template <class V, class A>
inline void add_weight_gradients(int64_t steps, int64_t H, int64_t inputs, const A* dz, const A* x, A* gradient) {
  column_groups<4>(0, inputs, WeightGradientColumns<V, A>{steps, H, inputs, dz, x, gradient});
}

// gradient[row] += the sum over steps and lanes.
template <class V, class A>
inline void add_row_sums(int64_t steps, int64_t rows, const A* from, A* gradient) {
  for (int64_t row = 0; row < rows; ++row) {
    V sum[V::width] = {};
    for (V& s : sum) s = V(A(0));
    for (int64_t t = 0; t < steps; ++t) sum[0] += V::load(from + (t * rows + row) * V::width);
    sum_lanes(sum);
    gradient[row] += sum[0].v[0];
  }
}

template <bool previous, class V, class S, class A>
void tile_layer_backward(const Backward<S>& p, const TileWindow& w, const Running<V>& running, int64_t layer,
                         const A* packed, const A* dy, A* dx, const BackwardTileScratch<A>& scratch, A* gradients) {
  constexpr int W = V::width;
  const int64_t H = p.size.H;
  const PackedLayer o = packed_layer(p.size, layer);
  A *dh = scratch.dh + layer * H * W, *dc = scratch.dc + layer * H * W;
  zero(scratch.dpeephole, 3 * H * W);
  for (int64_t t = w.steps - 1; t >= 0; --t) {
    A* dz = scratch.dz + t * 4 * H * W;
    step_backward<previous, V>(p, w, running, layer, t, packed + o.peephole, dy + t * H * W, scratch, dh, dc, dz,
                               scratch.h_before + t * H * W);
    column_groups<column_group>(0, H, ColumnsBackward<V, A>{4 * H, packed + o.hh, dz, scratch.dh_next});
    for (int64_t u = 0; u < H; ++u)
      running.select(t, V::load(scratch.dh_next + u * W), V::load(dh + u * W)).store(dh + u * W);
    column_groups<column_group>(0, o.inputs, ColumnsBackward<V, A>{4 * H, packed + o.ih, dz, dx + t * o.inputs * W});
  }
  add_weight_gradients<V>(w.steps, H, o.inputs, scratch.dz, scratch.x, gradients + o.ih);
  add_weight_gradients<V>(w.steps, H, H, scratch.dz, scratch.h_before, gradients + o.hh);
  add_row_sums<V>(w.steps, 4 * H, scratch.dz, gradients + o.bias);
  add_row_sums<V>(1, 3 * H, scratch.dpeephole, gradients + o.peephole);
}

// The inputs that the layer saw in this chunk.
template <class V, class S>
inline void layer_inputs(const Backward<S>& p, const TileWindow& w, const Running<V>& running, int64_t layer,
                         Arithmetic<S>* x) {
  const int64_t H = p.size.H;
  if (layer == 0) return gather_lanes<V>(p.input, p, w, running, p.size.I, x);
  for (int64_t t = 0; t < w.steps; ++t) {
    const KeptRows<const Arithmetic<S>> kept = kept_rows(p.saved, p.size, w, layer - 1, w.t0 + t);
    for (int64_t u = 0; u < H; ++u) kept.template load<V>(5 * H + u).store(x + (t * H + u) * V::width);
  }
  if (p.options.dropout > 0) drop_lanes<V>(p, w, layer, x, x);
}

template <bool previous, class V, class S>
void backward_tile_chunk(const Backward<S>& p, const TileWindow& w, const Arithmetic<S>* packed,
                         const BackwardTileScratch<Arithmetic<S>>& scratch, Arithmetic<S>* gradients) {
  const Running<V> running(p, w);
  const int64_t L = p.size.L, H = p.size.H;
  gather_lanes<V>(p.grad_output, p, w, running, H, scratch.dy[(L - 1) % 3]);
  for (int64_t layer = L - 1; layer >= 0; --layer) {
    Arithmetic<S>* dx = layer ? scratch.dy[(layer - 1) % 3] : scratch.dx;
    layer_inputs<V>(p, w, running, layer, scratch.x);
    tile_layer_backward<previous, V>(p, w, running, layer, packed, scratch.dy[layer % 3], dx, scratch, gradients);
    if (layer && p.options.dropout > 0) drop_lanes<V>(p, w, layer, dx, dx);
    // y of the layer before also went past this one into the next layer's addition.
    if (layer && layer + 1 < L && has_shortcut(p.options, layer + 1))
      add(scratch.dy[(layer + 1) % 3], w.steps * H * V::width, dx);
  }
  scatter_lanes<V>(scratch.dx, p.size, w, p.size.I, p.grad_input);
}

template <class V, class S>
void backward_tile(const Backward<S>& p, const Tiling& tiling, const Arithmetic<S>* packed, int64_t tile,
                   const BackwardTileScratch<Arithmetic<S>>& scratch, Arithmetic<S>* gradients) {
  TileWindow w = tile_window(p.size, tiling, tile);
  load_lane_states<V>(p.grad_h_n, p.size, w, scratch.dh);
  load_lane_states<V>(p.grad_c_n, p.size, w, scratch.dc);
  const int64_t chunks = (p.size.T + tiling.steps - 1) / tiling.steps;
  for (int64_t chunk = chunks - 1; chunk >= 0; --chunk) {
    w.t0 = chunk * tiling.steps;
    w.steps = p.size.T - w.t0 < tiling.steps ? p.size.T - w.t0 : tiling.steps;
    if (p.options.output_peephole_previous)
      backward_tile_chunk<true, V>(p, w, packed, scratch, gradients);
    else
      backward_tile_chunk<false, V>(p, w, packed, scratch, gradients);
  }
  store_lane_states<V>(scratch.dh, p.size, w, p.grad_h_0);
  store_lane_states<V>(scratch.dc, p.size, w, p.grad_c_0);
}

template <class V, class S>
void backward_tiles(const Backward<S>& p, const Tiling& tiling, const Arithmetic<S>* packed, int64_t group,
                    Arithmetic<S>* gradients, Arithmetic<S>* workspace) {
  Arena<Arithmetic<S>> arena{workspace};
  const BackwardTileScratch<Arithmetic<S>> scratch(p.size, tiling, arena);
  const int64_t first = group * tiling.tiles / tiling.groups, end = (group + 1) * tiling.tiles / tiling.groups;
  zero(gradients, packed_size(p.size));
  for (int64_t tile = first; tile < end; ++tile) backward_tile<V>(p, tiling, packed, tile, scratch, gradients);
}
