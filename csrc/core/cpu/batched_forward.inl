// The forward pass of one tile.

// A unit's weights: biases, peepholes, then per input (the layer's, then its own h) one weight per gate.
RESBLOCK_INLINE int64_t values_per_unit(const Sizes& s, int64_t inputs) { return 4 + 3 + 4 * (inputs + s.H); }

template <class S>
struct PackUnits {
  const Inputs<S>& p;
  LayerSource<S> w;
  int64_t inputs;
  Arithmetic<S>* to;

  template <int G>
  void operator()(int64_t unit) const {
    const int64_t H = p.size.H;
    Arithmetic<S>* out = to + unit * values_per_unit(p.size, inputs);
    for (int gate = 0; gate < 4; ++gate)
      for (int u = 0; u < G; ++u) *out++ = load(w.bias[gate * H + unit + u]);
    for (int gate = 0; gate < 3; ++gate)
      for (int u = 0; u < G; ++u) *out++ = load(w.peephole[gate * H + unit + u]);
    for (int64_t k = 0; k < inputs + H; ++k)
      for (int gate = 0; gate < 4; ++gate)
        for (int u = 0; u < G; ++u) {
          const int64_t row = gate * H + unit + u;
          *out++ = load(k < inputs ? w.ih[row * inputs + k] : w.hh[row * H + k - inputs]);
        }
  }
};

constexpr int unit_group = 4;

template <class S>
void pack_units(const Inputs<S>& p, int64_t layer, Arithmetic<S>* packed) {
  const PackedLayer o = packed_layer(p.size, layer);
  column_groups<unit_group>(0, p.size.H, PackUnits<S>{p, layer_source(p, layer), o.inputs, packed + o.ih});
}

template <class A>
struct ForwardTileScratch {
  A *x, *y[3];  // of one chunk: (steps, inputs or H, lanes)
  A* h_next;    // (H, lanes)
  A *h, *c;     // (L, H, lanes), carried from chunk to chunk

  ForwardTileScratch(const Sizes& s, const Tiling& tiling, Arena<A>& arena) {
    const int64_t rows = tiling.steps * tiling.lanes, states = s.L * s.H * tiling.lanes;
    x = arena.take(rows * (s.I > s.H ? s.I : s.H));
    for (A*& plane : y) plane = arena.take(rows * s.H);
    h_next = arena.take(s.H * tiling.lanes);
    h = arena.take(states);
    c = arena.take(states);
  }
};

template <class A>
int64_t forward_tile_workspace(const Sizes& s, const Tiling& tiling) {
  Arena<A> arena{nullptr};
  ForwardTileScratch<A>(s, tiling, arena);
  return arena.used;
}

// One layer at one step, for the units of a group.
template <bool previous, class V, class A>
struct UnitsForward {
  int64_t inputs, H, t;
  int64_t values;  // per unit
  const A *weights, *x, *h, *shortcut;
  A *c, *h_next, *y;
  const Running<V>& running;
  const KeptRows<A>* kept;

  template <int G>
  RESBLOCK_INLINE void accumulate(V (&z)[4][G], const A* w, const A* rows, int64_t n) const {
    for (int64_t k = 0; k < n; ++k, w += 4 * G) {
      const V value = V::load(rows + k * V::width);
      for (int gate = 0; gate < 4; ++gate)
        for (int u = 0; u < G; ++u) z[gate][u] += V(w[gate * G + u]) * value;
    }
  }

  template <int G>
  RESBLOCK_INLINE void operator()(int64_t unit) const {
    const A *w = weights + unit * values, *p = w + 4 * G, *w_x = p + 3 * G;
    V z[4][G];
    for (int gate = 0; gate < 4; ++gate)
      for (int u = 0; u < G; ++u) z[gate][u] = V(w[gate * G + u]);
    accumulate(z, w_x, x, inputs);
    accumulate(z, w_x + 4 * G * inputs, h, H);
    for (int u = 0; u < G; ++u) cell(unit + u, {z[0][u], z[1][u], z[2][u], z[3][u]}, {p[u], p[G + u], p[2 * G + u]});
  }

  RESBLOCK_INLINE void cell(int64_t unit, Gates<V> gate, Peephole<V> peephole) const {
    const V c_before = V::load(c + unit * V::width), h_before = V::load(h + unit * V::width), none = V(A(0));
    const CellState<V> now = cell_forward<previous, V>(gate, peephole, c_before);
    const V c_now = running.select(t, now.c, c_before);
    c_now.store(c + unit * V::width);
    running.select(t, now.h, h_before).store(h_next + unit * V::width);
    V out = running.select(t, now.h, none);
    if (shortcut) out += V::load(shortcut + unit * V::width);
    out.store(y + unit * V::width);
    if (!kept) return;
    kept->store(unit, running.select(t, gate.i, none));
    kept->store(H + unit, running.select(t, gate.f, none));
    kept->store(2 * H + unit, running.select(t, gate.g, none));
    kept->store(3 * H + unit, running.select(t, gate.o, none));
    kept->store(4 * H + unit, c_now);
    kept->store(5 * H + unit, out);
  }
};

template <bool previous, class V, class S>
void forward_tile_layer(const Forward<S>& p, const TileWindow& w, const Running<V>& running, int64_t layer,
                        const Arithmetic<S>* packed, const Arithmetic<S>* x,
                        const ForwardTileScratch<Arithmetic<S>>& scratch) {
  using A = Arithmetic<S>;
  const int64_t H = p.size.H, row = H * V::width;
  const PackedLayer o = packed_layer(p.size, layer);
  A *h = scratch.h + layer * row, *c = scratch.c + layer * row, *y = scratch.y[layer % 3];
  const A* shortcut = has_shortcut(p.options, layer) ? scratch.y[(layer - 2) % 3] : nullptr;
  for (int64_t t = 0; t < w.steps; ++t) {
    KeptRows<A> kept{};
    if (p.saved) kept = kept_rows(p.saved, p.size, w, layer, w.t0 + t);
    column_groups<unit_group>(
        0, H,
        UnitsForward<previous, V, A>{o.inputs, H, w.t0 + t, values_per_unit(p.size, o.inputs), packed + o.ih,
                                     x + t * o.inputs * V::width, h, shortcut ? shortcut + t * row : nullptr, c,
                                     scratch.h_next, y + t * row, running, p.saved ? &kept : nullptr});
    copy(scratch.h_next, row, h);
  }
}

template <bool previous, class V, class S>
void forward_tile_chunk(const Forward<S>& p, const TileWindow& w, const Running<V>& running,
                        const Arithmetic<S>* packed, const ForwardTileScratch<Arithmetic<S>>& scratch) {
  gather_lanes<V>(p.input, p, w, running, p.size.I, scratch.x);
  for (int64_t layer = 0; layer < p.size.L; ++layer) {
    const bool drops = layer && p.options.dropout > 0;
    const Arithmetic<S>* before = scratch.y[(layer + 2) % 3];
    if (drops) drop_lanes<V>(p, w, layer, before, scratch.x);
    forward_tile_layer<previous, V>(p, w, running, layer, packed, layer && !drops ? before : scratch.x, scratch);
  }
  scatter_lanes<V>(scratch.y[(p.size.L - 1) % 3], p.size, w, p.size.H, p.output);
}

template <class V, class S>
void forward_tile(const Forward<S>& p, const Tiling& tiling, const Arithmetic<S>* packed, int64_t tile,
                  Arithmetic<S>* workspace) {
  Arena<Arithmetic<S>> arena{workspace};
  const ForwardTileScratch<Arithmetic<S>> scratch(p.size, tiling, arena);
  TileWindow w = tile_window(p.size, tiling, tile);
  const Running<V> running(p, w);
  load_lane_states<V>(p.h_0, p.size, w, scratch.h);
  load_lane_states<V>(p.c_0, p.size, w, scratch.c);
  for (; w.t0 < p.size.T; w.t0 += tiling.steps) {
    w.steps = p.size.T - w.t0 < tiling.steps ? p.size.T - w.t0 : tiling.steps;
    if (p.options.output_peephole_previous)
      forward_tile_chunk<true, V>(p, w, running, packed, scratch);
    else
      forward_tile_chunk<false, V>(p, w, running, packed, scratch);
  }
  store_lane_states<V>(scratch.h, p.size, w, p.h_n);
  store_lane_states<V>(scratch.c, p.size, w, p.c_n);
}
