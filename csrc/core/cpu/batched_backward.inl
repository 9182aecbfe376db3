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
  A *kept, *before;                   // copies of a chunk's rows and of the rows before them
  A *dpeephole, *tanh_c;              // (3, H, lanes), (H, lanes)
  A *dh, *dc;                         // (L, H, lanes), carried from chunk to chunk
  A* dh_next;                         // (H, lanes)

  BackwardTileScratch(const Sizes& s, const Tiling& tiling, Arena<A>& arena) {
    const int64_t rows = tiling.steps * tiling.lanes, states = s.L * s.H * tiling.lanes;
    x = arena.take(rows * (s.I > s.H ? s.I : s.H));
    h_before = arena.take(rows * s.H);
    dz = arena.take(rows * 4 * s.H);
    dx = arena.take(rows * s.I);
    for (A*& plane : dy) plane = arena.take(rows * s.H);
    kept = arena.take(rows * 6 * s.H);
    before = arena.take(6 * s.H * tiling.lanes);
    dpeephole = arena.take(3 * s.H * tiling.lanes);
    tanh_c = arena.take(s.H * tiling.lanes);
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

// One layer over one chunk: dz of all its steps, dx, h before every step, and dh and dc carried to the step before the
// chunk. With a fixed number of units, of layers above the first, dh and dx are summed in registers while the next
// cells are computed.
template <bool previous, int fixed, class V>
struct TileLayerBackward {
  using A = typename V::Scalar;
  static constexpr int W = V::width;
  const TileWindow& w;
  const Running<V>& running;
  int64_t inputs, any_H;
  const A *ih, *hh, *peephole;  // packed by pack_columns
  const A* below;               // rows of the layer below, which are read next
  const A *kept, *before;       // rows of KeptTile: of step 0 on, and of the step before
  const A* dy;
  A *dh, *dc, *dh_next;   // of the layer
  A *dz, *dx, *h_before;  // of the chunk
  A *tanh_c, *dpeephole;  // (H, lanes) of a step, (3H, lanes) summed over steps

  int64_t H() const { return fixed ? fixed : any_H; }
  const A* rows_before(int64_t t) const { return t ? kept + (t - 1) * 6 * H() * W : before; }

  RESBLOCK_INLINE Gates<V> cell(int64_t t, int64_t u) const {
    const A *now = kept + (t * 6 * H() + u) * W, *last = rows_before(t) + u * W;
    const int64_t gate_row = H() * W, at = u * W;
    const Gates<V> gate = {V::load(now), V::load(now + gate_row), V::load(now + 2 * gate_row),
                           V::load(now + 3 * gate_row)};
    for (int row = 0; row < 6; ++row) __builtin_prefetch(below + (t * 6 * H() + u) * W + row * gate_row);
    const V c_before = V::load(last + 4 * gate_row), tanh_before = tanh(c_before), dc_before = V::load(dc + at);
    V dc_now = dc_before, h = V::load(last + 3 * gate_row) * tanh_before;
    Gates<V> d =
        cell_backward_of<previous, V>(gate, {V(peephole[u]), V(peephole[H() + u]), V(peephole[2 * H() + u])}, c_before,
                                      V::load(tanh_c + at), V::load(dy + t * gate_row + at) + V::load(dh + at), dc_now);
    tanh_before.store(tanh_c + at);
    V from_i = d.i * c_before, from_f = d.f * c_before,
      from_o = d.o * (previous ? c_before : V::load(now + 4 * gate_row));
    if (!running.all(t)) {
      const V none = V(A(0));
      d = {running.select(t, d.i, none), running.select(t, d.f, none), running.select(t, d.g, none),
           running.select(t, d.o, none)};
      dc_now = running.select(t, dc_now, dc_before);
      h = running.select(t, h, none);
      from_i = running.select(t, from_i, none);
      from_f = running.select(t, from_f, none);
      from_o = running.select(t, from_o, none);
    }
    dc_now.store(dc + at);
    h.store(h_before + t * gate_row + at);
    A* to = dz + t * 4 * gate_row + at;
    d.i.store(to);
    d.f.store(to + gate_row);
    d.g.store(to + 2 * gate_row);
    d.o.store(to + 3 * gate_row);
    add_to(dpeephole + at, from_i);
    add_to(dpeephole + gate_row + at, from_f);
    add_to(dpeephole + 2 * gate_row + at, from_o);
    return d;
  }

  static RESBLOCK_INLINE void add_to(A* sum, V v) { (V::load(sum) + v).store(sum); }

  RESBLOCK_INLINE void carry_dh(int64_t t, int64_t u, V next) const {
    running.select(t, next, V::load(dh + u * W)).store(dh + u * W);
  }

  RESBLOCK_INLINE void step(int64_t t) const {
    if constexpr (fixed) {
      V dh_sum[fixed], dx_sum[fixed];
      for (int k = 0; k < fixed; ++k) dh_sum[k] = dx_sum[k] = V(A(0));
      RESBLOCK_UNROLL
      for (int u = 0; u < fixed; ++u) {
        const Gates<V> d = cell(t, u);
        add_products(hh, u, d, dh_sum);
        add_products(ih, u, d, dx_sum);
      }
      for (int k = 0; k < fixed; ++k) {
        carry_dh(t, k, dh_sum[k]);
        dx_sum[k].store(dx + (t * fixed + k) * W);
      }
    } else {
      for (int64_t u = 0; u < H(); ++u) cell(t, u);
      const A* dz_now = dz + t * 4 * H() * W;
      column_groups<column_group>(0, H(), ColumnsBackward<V, A>{4 * H(), hh, dz_now, dh_next});
      for (int64_t u = 0; u < H(); ++u) carry_dh(t, u, V::load(dh_next + u * W));
      column_groups<column_group>(0, inputs, ColumnsBackward<V, A>{4 * H(), ih, dz_now, dx + t * inputs * W});
    }
  }

  // The fixed units are one group of columns.
  static RESBLOCK_INLINE void add_products(const A* weights, int u, const Gates<V>& d, V (&sum)[fixed ? fixed : 1]) {
    const V gates[] = {d.i, d.f, d.g, d.o};
    RESBLOCK_UNROLL
    for (int gate = 0; gate < 4; ++gate) RESBLOCK_UNROLL
    for (int k = 0; k < fixed; ++k) sum[k] += V(weights[(gate * fixed + u) * fixed + k]) * gates[gate];
  }

  __attribute__((noinline)) void run() const {
    const A* last_c = kept + ((w.steps - 1) * 6 + 4) * H() * W;
    for (int64_t u = 0; u < H(); ++u) tanh(V::load(last_c + u * W)).store(tanh_c + u * W);
    for (int64_t t = w.steps - 1; t >= 0; --t) step(t);
  }
};

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

// Rows of lanes of a chunk: those of step t begin at data + t * step.
template <class A>
struct LaneRows {
  const A* data;
  int64_t step;
};

template <class V, class A>
struct WeightGradientColumns {
  int64_t steps, H, inputs;
  const A* dz;
  LaneRows<A> x;
  A* gradient;

  template <int C>
  inline void operator()(int64_t column) const {
    for (int64_t j = 0; j < 4 * H; j += 4)
      outer_products<V, 4, C>(steps, dz + j * V::width, 4 * H * V::width, x.data + column * V::width, x.step,
                              gradient + j * inputs + column, inputs);
  }
};

template <class V, class A>
inline void add_weight_gradients(int64_t steps, int64_t H, int64_t inputs, const A* dz, LaneRows<A> x, A* gradient) {
  column_groups<4>(0, inputs, WeightGradientColumns<V, A>{steps, H, inputs, dz, x, gradient});
}

// gradient[row] += the sum over steps and lanes.
template <class V, class A>
inline void add_row_sums(int64_t steps, int64_t rows, const A* from, A* gradient) {
  for (int64_t first = 0; first < rows; first += V::width) {
    const int64_t count = rows - first < V::width ? rows - first : V::width;
    V sum[V::width];
    for (V& s : sum) s = V(A(0));
    for (int64_t t = 0; t < steps; ++t)
      for (int64_t row = 0; row < count; ++row) sum[row] += V::load(from + (t * rows + first + row) * V::width);
    sum_lanes(sum);
    for (int64_t row = 0; row < count; ++row) gradient[first + row] += sum[0].v[row];
  }
}

// The rows before a chunk's first step. Before the sequence there are only states: c in its place, no gates.
template <class V, class S>
inline const Arithmetic<S>* rows_before_chunk(const Backward<S>& p, const TileWindow& w, int64_t layer,
                                              const KeptTile<V>& kept, Arithmetic<S>* copy) {
  if (w.t0) return kept.load(layer, w.t0 - 1, 1, copy);
  zero(copy, 6 * p.size.H * V::width);
  load_lane_state<V>(p.c_0 + layer * p.size.B * p.size.H, p.size, w, copy + 4 * p.size.H * V::width);
  return copy;
}

template <bool previous, int fixed, class V, class S>
void tile_layer_backward(const Backward<S>& p, const TileWindow& w, const Running<V>& running, int64_t layer,
                         const Arithmetic<S>* packed, LaneRows<Arithmetic<S>> x, const Arithmetic<S>* dy,
                         Arithmetic<S>* dx, const BackwardTileScratch<Arithmetic<S>>& scratch,
                         Arithmetic<S>* gradients) {
  constexpr int W = V::width;
  const int64_t H = p.size.H;
  const PackedLayer o = packed_layer(p.size, layer);
  const KeptTile<V> kept(p.saved, p.size, w);
  zero(scratch.dpeephole, 3 * H * W);
  TileLayerBackward<previous, fixed, V>{w,
                                        running,
                                        o.inputs,
                                        H,
                                        packed + o.ih,
                                        packed + o.hh,
                                        packed + o.peephole,
                                        kept.at(layer ? layer - 1 : 0, w.t0),
                                        kept.load(layer, w.t0, w.steps, scratch.kept),
                                        rows_before_chunk(p, w, layer, kept, scratch.before),
                                        dy,
                                        scratch.dh + layer * H * W,
                                        scratch.dc + layer * H * W,
                                        scratch.dh_next,
                                        scratch.dz,
                                        dx,
                                        scratch.h_before,
                                        scratch.tanh_c,
                                        scratch.dpeephole}
      .run();
  if (w.t0 == 0) load_lane_state<V>(p.h_0 + layer * p.size.B * H, p.size, w, scratch.h_before);
  add_weight_gradients<V>(w.steps, H, o.inputs, scratch.dz, x, gradients + o.ih);
  add_weight_gradients<V>(w.steps, H, H, scratch.dz, LaneRows<Arithmetic<S>>{scratch.h_before, H * W},
                          gradients + o.hh);
  add_row_sums<V>(w.steps, 4 * H, scratch.dz, gradients + o.bias);
  add_row_sums<V>(1, 3 * H, scratch.dpeephole, gradients + o.peephole);
}

// The inputs that the layer saw in this chunk: where they are kept, unless they must be changed.
template <class V, class S>
inline LaneRows<Arithmetic<S>> layer_inputs(const Backward<S>& p, const TileWindow& w, const Running<V>& running,
                                            int64_t layer, Arithmetic<S>* copy) {
  const int64_t H = p.size.H, row = H * V::width;
  if (layer == 0) {
    gather_lanes<V>(p.input, p, w, running, p.size.I, copy);
    return {copy, p.size.I * V::width};
  }
  const KeptTile<V> kept(p.saved, p.size, w);
  if (kept.all_lanes() && p.options.dropout == 0) return {kept.at(layer - 1, w.t0) + 5 * row, 6 * row};
  if (!kept.all_lanes()) zero(copy, w.steps * row);
  for (int64_t t = 0; t < w.steps; ++t) kept.load_rows(layer - 1, w.t0 + t, 5 * H, H, copy + t * row);
  if (p.options.dropout > 0) drop_lanes<V>(p, w, layer, copy, copy);
  return {copy, row};
}

template <bool previous, class V, class S>
void backward_tile_chunk(const Backward<S>& p, const TileWindow& w, const Arithmetic<S>* packed,
                         const BackwardTileScratch<Arithmetic<S>>& scratch, Arithmetic<S>* gradients) {
  const Running<V> running(p, w);
  const int64_t L = p.size.L, H = p.size.H;
  gather_lanes<V>(p.grad_output, p, w, running, H, scratch.dy[(L - 1) % 3]);
  for (int64_t layer = L - 1; layer >= 0; --layer) {
    Arithmetic<S>* dx = layer ? scratch.dy[(layer - 1) % 3] : scratch.dx;
    const auto x = layer_inputs<V>(p, w, running, layer, scratch.x);
    const auto run = layer && H == unrolled_units<V> ? tile_layer_backward<previous, unrolled_units<V>, V, S>
                                                     : tile_layer_backward<previous, 0, V, S>;
    run(p, w, running, layer, packed, x, scratch.dy[layer % 3], dx, scratch, gradients);
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
  if (w.used < V::width) {
    zero(scratch.kept, tiling.steps * 6 * p.size.H * V::width);
    zero(scratch.before, 6 * p.size.H * V::width);
  }
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
