// The backward pass of one group of tiles.

// Columns of the transposed weights: per input of the layer, then per unit of its own h, the 4H gates it feeds.
constexpr int column_group = 8;

template <class A>
struct PackColumns {
  const A* w;
  int64_t gates, columns;  // w is (gates, columns)
  A* to;

  template <int G>
  void operator()(int64_t column) const {
    A* out = to + column * gates;
    for (int64_t j = 0; j < gates; ++j)
      for (int k = 0; k < G; ++k) *out++ = w[j * columns + column + k];
  }
};

template <class A>
void pack_columns(const Inputs<A>& p, int64_t layer, A* packed) {
  const PackedLayer o = packed_layer(p.size, layer);
  const LayerSource<A> w = layer_source(p, layer);
  const int64_t H = p.size.H;
  column_groups<column_group>(0, o.inputs, PackColumns<A>{w.ih, 4 * H, o.inputs, packed + o.ih});
  column_groups<column_group>(0, H, PackColumns<A>{w.hh, 4 * H, H, packed + o.hh});
  load_small(p, layer, packed + o.bias, packed + o.peephole);
}

// Where the gradient of a layer's y stands in this chunk. A segment hands on those of its lowest layer, which the
// residual connection there passes on, and of the layer below.
template <class A>
struct BackwardPlanes {
  const BackwardTileScratch<A>& scratch;
  Layers layers;
  bool takes_over, hands_over;
  int64_t parity;  // of the chunk

  A* dy(int64_t layer) const {
    if (takes_over && layer >= layers.end - 1) return scratch.from_above.planes[parity][layer - (layers.end - 1)];
    if (hands_over && layer <= layers.first) return scratch.to_below.planes[parity][layer - (layers.first - 1)];
    return layer < 0 ? scratch.dx : scratch.ring[layer % 3];
  }
};

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
// chunk. With a fixed number of units, of layers above the first, dh and dx are summed in registers, a cell's sums
// between the halves of the next cell: a processor does not see far enough ahead to fill the gaps of its chain.
template <bool previous, int fixed, class V>
struct TileLayerBackward {
  using A = typename V::Scalar;
  static constexpr int W = V::width;
  const TileWindow& w;
  const Running<V>& running;
  int64_t inputs, any_H;
  const A *ih, *hh, *peephole;  // packed by pack_columns
  const A* below;               // rows of the layer below, which are read next
  const A *saved, *before;      // rows of SavedTile: of step 0 on, and of the step before
  const A* dy;
  const A* grad_cells;    // (steps, H, lanes) or null
  A *dh, *dc, *dh_next;   // of the layer
  A *dz, *dx, *h_before;  // of the chunk
  A *tanh_c, *dpeephole;  // (H, lanes) of a step, (3H, lanes) summed over steps

  int64_t H() const { return fixed ? fixed : any_H; }
  const A* rows_before(int64_t t) const { return t ? saved + (t - 1) * saved_of_cell * H() * W : before; }

  struct Cell {
    Gates<V> gate, d;
    Peephole<V> peephole;
    V c_before, tanh_before, dc;
  };

  RESBLOCK_INLINE void first_half(int64_t t, int64_t u, Cell& cell) const {
    const A *now = saved + (t * saved_of_cell * H() + u) * W, *last = rows_before(t) + u * W;
    const int64_t gate_row = H() * W, at = u * W;
    for (int row = 0; row < saved_of_cell; ++row)
      prefetch_line(below + (t * saved_of_cell * H() + u) * W + row * gate_row);
    cell.gate = {V::load(now), V::load(now + gate_row), V::load(now + 2 * gate_row), V::load(now + 3 * gate_row)};
    cell.peephole = {V(peephole[u]), V(peephole[H() + u]), V(peephole[2 * H() + u])};
    cell.c_before = V::load(last + saved_c * gate_row);
    cell.dc = V::load(dc + at);
    cell_output_backward<previous, V>(cell.gate, cell.peephole, V::load(tanh_c + at),
                                      V::load(dy + t * gate_row + at) + V::load(dh + at), cell.dc, cell.d);
    cell.tanh_before = tanh(cell.c_before);
    cell.tanh_before.store(tanh_c + at);
  }

  RESBLOCK_INLINE void second_half(int64_t t, int64_t u, Cell& cell) const {
    const int64_t gate_row = H() * W, at = u * W;
    cell_state_backward<previous, V>(cell.gate, cell.peephole, cell.c_before, cell.dc, cell.d);
    V h = V::load(rows_before(t) + saved_gate_o * gate_row + at) * cell.tanh_before;
    Gates<V>& d = cell.d;
    V c_before = cell.c_before,
      c_seen_by_o = previous ? c_before : V::load(saved + (t * saved_of_cell + saved_c) * gate_row + at);
    if (!running.all(t)) {
      const V none = V(A(0));
      d = {running.select(t, d.i, none), running.select(t, d.f, none), running.select(t, d.g, none),
           running.select(t, d.o, none)};
      cell.dc = running.select(t, cell.dc, V::load(dc + at));
      h = running.select(t, h, none);
      c_before = running.select(t, c_before, none);
      c_seen_by_o = running.select(t, c_seen_by_o, none);
    }
    cell.dc.store(dc + at);
    h.store(h_before + t * gate_row + at);
    A* to = dz + t * 4 * gate_row + at;
    d.i.store(to);
    d.f.store(to + gate_row);
    d.g.store(to + 2 * gate_row);
    d.o.store(to + 3 * gate_row);
    add_product(dpeephole + at, d.i, c_before);
    add_product(dpeephole + gate_row + at, d.f, c_before);
    add_product(dpeephole + 2 * gate_row + at, d.o, c_seen_by_o);
  }

  RESBLOCK_INLINE void whole(int64_t t, int64_t u, Cell& cell) const {
    first_half(t, u, cell);
    second_half(t, u, cell);
  }

  static RESBLOCK_INLINE void add_product(A* sum, V a, V b) { (V::load(sum) + a * b).store(sum); }

  RESBLOCK_INLINE void carry_dh(int64_t t, int64_t u, V next) const {
    running.select(t, next, V::load(dh + u * W)).store(dh + u * W);
  }

  RESBLOCK_INLINE void step(int64_t t) const {
    if constexpr (fixed) {
      V dh_sum[fixed], dx_sum[fixed];
      for (int k = 0; k < fixed; ++k) dh_sum[k] = dx_sum[k] = V(A(0));
      Cell cell;
      whole(t, 0, cell);
      RESBLOCK_UNROLL
      for (int u = 0; u < fixed; ++u) {
        const Gates<V> d = cell.d;
        if (u + 1 < fixed) first_half(t, u + 1, cell);
        add_products(hh, u, d, dh_sum);
        if (u + 1 < fixed) second_half(t, u + 1, cell);
        add_products(ih, u, d, dx_sum);
      }
      for (int k = 0; k < fixed; ++k) {
        carry_dh(t, k, dh_sum[k]);
        dx_sum[k].store(dx + (t * fixed + k) * W);
      }
    } else {
      Cell cell;
      for (int64_t u = 0; u < H(); ++u) whole(t, u, cell);
      const A* dz_now = dz + t * 4 * H() * W;
      column_groups<column_group>(0, H(), ColumnsBackward<V, A>{4 * H(), hh, dz_now, dh_next});
      for (int64_t u = 0; u < H(); ++u) carry_dh(t, u, V::load(dh_next + u * W));
      if (dx) column_groups<column_group>(0, inputs, ColumnsBackward<V, A>{4 * H(), ih, dz_now, dx + t * inputs * W});
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
    const A* last_c = saved + ((w.steps - 1) * saved_of_cell + saved_c) * H() * W;
    for (int64_t u = 0; u < H(); ++u) tanh(V::load(last_c + u * W)).store(tanh_c + u * W);
    for (int64_t t = w.steps - 1; t >= 0; --t) {
      if (grad_cells) add(grad_cells + t * H() * W, H() * W, dc);
      step(t);
    }
  }
};

// The rows before a chunk's first step. Before the sequence there are only states: c in its place, no gates.
template <class V, class A>
inline const A* rows_before_chunk(const Backward<A>& p, const TileWindow& w, int64_t layer, const SavedTile<V>& saved,
                                  A* copy) {
  if (w.t0) return saved.load(layer, w.t0 - 1, 1, copy);
  zero(copy, saved_of_cell * p.size.H * V::width);
  load_lane_state<V>(p.c_0, p, w, layer, copy + saved_c * p.size.H * V::width, End::first);
  return copy;
}

// What the layer was fed in this chunk, as rows of sequences: its inputs, and h of the step before.
template <class V, class A>
struct LayerFed {
  static constexpr int W = V::width;
  const Backward<A>& p;
  const TileWindow& w;
  const Running<V>& running;
  A* lanes;  // (steps, H, lanes), to work in; what idle lanes hold stays zero
  A* xh;

  int64_t width(int64_t layer) const { return (layer ? p.size.H : p.size.I) + p.size.H; }

  void load_input() const {
    const int64_t I = p.size.I, row = width(0);
    zero(xh, w.steps * W * row);
    for (int64_t t = 0; t < w.steps; ++t)
      for (int64_t n = 0; n < running.lanes(t); ++n)
        copy(p.input + row_at(p, w.t0 + t, w.b0 + n) * I, I, xh + (t * W + n) * row);
  }

  void load_below(int64_t layer) const {
    const int64_t H = p.size.H, plane = H * W;
    const SavedTile<V> saved(p.saved, p.size, w);
    const bool as_saved = saved.all_lanes() && p.options.dropout == 0;
    if (!as_saved) {
      zero(lanes, w.steps * plane);
      for (int64_t t = 0; t < w.steps; ++t) saved.load_rows(layer, w.t0 + t, saved_y * H, H, lanes + t * plane);
    }
    if (p.options.dropout > 0) drop_lanes<V>(p, w, layer + 1, lanes, lanes);
    for (int64_t t = 0; t < w.steps; ++t)
      store_lanes<V>(as_saved ? saved.at(layer, w.t0 + t) + saved_y * plane : lanes + t * plane, W, H,
                     LaneRows<A>{xh + t * 2 * plane}, 2 * H);
  }

  void load(int64_t layer, const A* h_before) const {
    const int64_t H = p.size.H, row = width(layer);
    A* h = xh + row - H;
    if (layer)
      load_below(layer - 1);
    else
      load_input();
    for (int64_t t = 0; t < w.steps; ++t) store_lanes<V>(h_before + t * H * W, W, H, LaneRows<A>{h + t * W * row}, row);
    if (w.t0) return;
    for (int64_t n = 0; n < w.used; ++n) load_state(state_of(p, p.h_0, layer, w.b0 + n, End::first), H, h + n * row);
  }
};

template <class V, class A>
void tile_layer_backward(const Backward<A>& p, const TileWindow& w, const Running<V>& running, int64_t layer,
                         const A* packed, const A* dy, A* dx, const BackwardTileScratch<A>& scratch, bool first,
                         A* gradients) {
  constexpr int W = V::width;
  const int64_t H = p.size.H;
  const PackedLayer o = packed_layer(p.size, layer), below = packed_layer(p.size, layer ? layer - 1 : 0);
  const int64_t values = packed_layer(p.size, layer + 1).ih - o.ih, values_below = o.ih - below.ih;
  const SavedTile<V> saved(p.saved, p.size, w);
  // Saved rows have driven these from the second-level cache since the last tile or chunk.
  prefetch(packed + below.ih, values_below);
  prefetch(gradients + below.ih, values_below);
  if (layer) {
    prefetch(scratch.dh + (layer - 1) * H * W, H * W);
    prefetch(scratch.dc + (layer - 1) * H * W, H * W);
  }
  zero(scratch.dpeephole, 3 * H * W);
  const A *now = saved.load(layer, w.t0, w.steps, scratch.saved),
          *before = rows_before_chunk(p, w, layer, saved, scratch.before);
  A* grad_cells = nullptr;
  if (p.grad_cells) {
    grad_cells = scratch.xh;  // which is filled later
    gather_lanes<V>(p.grad_cells + layer * row_count(p) * H, p, w, running, H, grad_cells);
  }
  const auto recur = [&](auto previous, auto units) {
    TileLayerBackward<previous, units, V>{w,
                                          running,
                                          o.inputs,
                                          H,
                                          packed + o.ih,
                                          packed + o.hh,
                                          packed + o.peephole,
                                          saved.at(layer ? layer - 1 : 0, w.t0),
                                          now,
                                          before,
                                          dy,
                                          grad_cells,
                                          scratch.dh + layer * H * W,
                                          scratch.dc + layer * H * W,
                                          scratch.dh_next,
                                          scratch.dz,
                                          dx,
                                          scratch.h_before,
                                          scratch.tanh_c,
                                          scratch.dpeephole}
        .run();
  };
  with_output_peephole(p.options,
                       [&](auto previous) { with_units<V>(layer, H, [&](auto units) { recur(previous, units); }); });
  if (first) zero(gradients + o.ih, values);
  const LayerGradients<A> wanted = wanted_gradients(p, layer);
  if (wanted.ih || wanted.hh) {
    const LayerFed<V, A> fed = {p, w, running, scratch.saved, scratch.xh};
    fed.load(layer, scratch.h_before);
    products<W>(w.steps, 4 * H, fed.width(layer), scratch.dz, scratch.xh, scratch.products);
    add_products(4 * H, o.inputs, H, scratch.products, gradients + o.ih, gradients + o.hh);
  }
  add_row_sums<V>(w.steps, 4 * H, scratch.dz, gradients + o.bias);
  add_row_sums<V>(1, 3 * H, scratch.dpeephole, gradients + o.peephole);
}

template <class V, class A>
void backward_tile_chunk(const Backward<A>& p, const TileWindow& w, const A* packed, const BackwardPlanes<A>& planes,
                         bool first, A* gradients) {
  const Running<V> running(p, w);
  const int64_t L = p.size.L, H = p.size.H;
  if (planes.layers.end == L) gather_lanes<V>(p.grad_output, p, w, running, H, planes.dy(L - 1));
  for (int64_t layer = planes.layers.end - 1; layer >= planes.layers.first; --layer) {
    A* dx = layer || p.grad_input ? planes.dy(layer - 1) : nullptr;
    tile_layer_backward<V, A>(p, w, running, layer, packed, planes.dy(layer), dx, planes.scratch, first, gradients);
    if (layer && p.options.dropout > 0) drop_lanes<V>(p, w, layer, dx, dx);
    if (shortcut_passes(p.size, p.options, layer)) add(planes.dy(layer + 1), w.steps * H * V::width, dx);
  }
  if (planes.layers.first == 0 && p.grad_input)
    scatter_lanes<V, A>(planes.scratch.dx, p, w, running, p.size.I, p.grad_input);
}

template <class V, class A>
void backward_tile(const Backward<A>& p, const Partition& partition, const A* packed, const TilePart& part,
                   bool first_tile, A* gradients, void* workspace) {
  Arena arena{workspace};
  const BackwardTileScratch<A> scratch(p.size, partition, part.segment, arena);
  const Layers layers = layers_of(p.size, partition.segments - 1 - part.segment, partition.segments);
  const int64_t chunks = chunks_of_tile(p, partition, part.tile);
  const TileWindow w = tile_window(p, partition, part, chunks - 1 - part.chunk);
  if (part.chunk == 0) {
    if (w.used < V::width) {
      zero(scratch.saved, partition.steps * saved_of_cell * p.size.H * V::width);
      zero(scratch.before, saved_of_cell * p.size.H * V::width);
    }
    load_lane_states<V>(p.grad_h_n, p, w, layers, scratch.dh, End::last);
    load_lane_states<V>(p.grad_c_n, p, w, layers, scratch.dc, End::last);
  }
  const BackwardPlanes<A> planes = {scratch, layers, part.segment > 0, part.segment + 1 < partition.segments,
                                    part.chunk % 2};
  if (w.steps) backward_tile_chunk<V, A>(p, w, packed, planes, first_tile && part.chunk == 0, gradients);
  if (part.chunk == chunks - 1 && p.grad_h_0) {
    store_lane_states<V>(scratch.dh, p, w, layers, p.grad_h_0, End::first);
    store_lane_states<V>(scratch.dc, p, w, layers, p.grad_c_0, End::first);
  }
}
