// The forward pass of one tile.

template <class A>
void pack_unit_pairs(const Inputs<A>& p, int64_t layer, A* packed) {
  const int64_t H = p.size.H, inputs = layer ? H : p.size.I;
  const LayerSource<A> w = layer_source(p, layer);
  A* out = packed + UnitPairs::of_layer(p.size, layer);
  for (int64_t pair = 0; pair < H; pair += UnitPairs::units) {
    const auto both = [&](const A* values, int64_t stride, double scale, int64_t row) {
      for (int64_t u = pair; u < pair + UnitPairs::units; ++u)
        *out++ = u < H ? A(values[(row * H + u) * stride] * scale) : A(0);
    };
    const auto gates = [&](const A* values, int64_t stride) {
      for (int gate = 0; gate < gates_of_cell; ++gate) both(values, stride, base_two_scale(gate), gate);
    };
    gates(w.bias, 1);
    for (int row = 0; row < peepholes_of_cell; ++row) both(w.peephole, 1, sigmoid_scale, row);
    for (int64_t k = 0; k < inputs; ++k) gates(w.ih + k, inputs);
    for (int64_t k = 0; k < H; ++k) gates(w.hh + k, H);
  }
}

// Where a layer's y stands in this chunk.
template <class A>
struct ForwardPlanes {
  const ForwardTileScratch<A>& scratch;
  Layers layers;
  bool hands_over;
  int64_t parity;  // of the chunk

  A* y(int64_t layer) const {
    if (layer < layers.first) return scratch.from_before.planes[parity][layer - (layers.first - 2)];
    if (hands_over && layer >= layers.end - 2) return scratch.to_next.planes[parity][layer - (layers.end - 2)];
    return scratch.ring[layer % 3];
  }
};

// What goes into the gates of a pair of units.
template <class V>
struct PairSums {
  V z[4][2];
};

// One layer over one chunk. The products of a pair of units run between the nonlinear parts of the pair before it, so
// that neither multiplications nor divisions wait for the other; the last pair's time goes to the first one of the next
// layer, where that is as wide.
template <bool previous, bool saves, int fixed, class V>
struct TileLayerForward {
  using A = typename V::Scalar;
  static constexpr int W = V::width;
  const TileWindow& w;
  const Running<V>& running;
  int64_t any_inputs, any_H;
  bool from_zeros;  // h is zero before the chunk
  const A *weights, *x, *shortcut;
  A *c, *h, *y;  // c and h: of the step before the chunk, and later of its last one
  A* const* h_of_two;
  A* saved;  // rows of SavedTile

  int64_t inputs() const { return fixed ? fixed : any_inputs; }
  int64_t H() const { return fixed ? fixed : any_H; }

  struct Pair {
    int64_t t, unit;
    const A *weights, *x, *h;
  };
  using Sums = PairSums<V>;

  A* h_after(int64_t t) const { return h_of_two[t & 1]; }

  RESBLOCK_INLINE Pair pair(int64_t t, int64_t unit) const {
    return {t, unit, weights + unit / 2 * UnitPairs::values(inputs(), H()), x + t * inputs() * W,
            t ? h_after(t - 1) : h};
  }

  RESBLOCK_INLINE void begin(const Pair& of, Sums& sums) const {
    for (int gate = 0; gate < 4; ++gate)
      for (int u = 0; u < 2; ++u) sums.z[gate][u] = V(of.weights[UnitPairs::bias + gate * UnitPairs::units + u]);
  }

  static RESBLOCK_INLINE void multiply_row(const A* w, V row, Sums& sums) {
    for (int gate = 0; gate < 4; ++gate)
      for (int u = 0; u < 2; ++u) sums.z[gate][u] += V(w[gate * UnitPairs::units + u]) * row;
  }
  static RESBLOCK_INLINE void multiply(const A* w, const A* rows, int64_t count, Sums& sums) {
    if constexpr (fixed) {
      RESBLOCK_UNROLL
      for (int64_t k = 0; k < count; ++k) multiply_row(w + k * UnitPairs::per_input, V::load(rows + k * W), sums);
    } else {
      for (int64_t k = 0; k < count; ++k) multiply_row(w + k * UnitPairs::per_input, V::load(rows + k * W), sums);
    }
  }
  RESBLOCK_INLINE void multiply_x(const Pair& of, Sums& sums) const {
    multiply(of.weights + UnitPairs::inputs, of.x, inputs(), sums);
  }
  RESBLOCK_INLINE void multiply_h(const Pair& of, Sums& sums) const {
    if (from_zeros && of.t == 0) return;
    multiply(of.weights + UnitPairs::inputs + UnitPairs::per_input * inputs(), of.h, H(), sums);
  }

  struct Cells {
    Gates<Two<V>> gate;
    Peephole<Two<V>> peephole;
    Two<V> c_before, c;
  };

  // The second unit's row; a unit that only fills the pair reads the first one's.
  RESBLOCK_INLINE int64_t second(const Pair& of) const { return of.unit + 1 < H() ? W : 0; }

  RESBLOCK_INLINE Two<V> load_two(const A* rows, const Pair& of) const {
    return {V::load(rows + of.unit * W), V::load(rows + of.unit * W + second(of))};
  }
  RESBLOCK_INLINE void store_two(Two<V> units, A* rows, const Pair& of) const {
    if (fixed || second(of)) units.b.store(rows + (of.unit + 1) * W);
    units.a.store(rows + of.unit * W);
  }

  RESBLOCK_INLINE void first_half(const Pair& now, const Sums& sums, Cells& cells) const {
    const auto gate = [&](int which) { return Two<V>(sums.z[which][0], sums.z[which][1]); };
    const auto peephole = [&](int row) {
      const A* w = now.weights + UnitPairs::peephole + row * UnitPairs::units;
      return Two<V>(w[0], w[1]);
    };
    cells.gate = {gate(0), gate(1), gate(2), gate(3)};
    cells.peephole = {peephole(0), peephole(1), peephole(2)};
    cells.c_before = load_two(c, now);
    cells.c = cell_state<Base::two>(cells.gate, cells.peephole, cells.c_before);
  }

  RESBLOCK_INLINE void second_half(const Pair& now, Cells& cells) const {
    const Two<V> seen = previous ? cells.c_before : cells.c;
    Two<V> h = cell_output<Base::two>(cells.gate, cells.peephole, seen, cells.c), out = h;
    // Past its end a sequence saves its state and puts out zeros.
    if (!running.all(now.t)) {
      const Two<V> none(A(0));
      cells.c = running.select(now.t, cells.c, cells.c_before);
      h = running.select(now.t, h, load_two(now.h, now));
      out = running.select(now.t, out, none);
      const auto stop = [&](Two<V>& gate) { gate = running.select(now.t, gate, none); };
      stop(cells.gate.i), stop(cells.gate.f), stop(cells.gate.g), stop(cells.gate.o);
    }
    const int64_t row = now.t * H() * W;
    store_two(cells.c, c, now);
    store_two(h, h_after(now.t), now);
    if (shortcut) out += load_two(shortcut + row, now);
    store_two(out, y + row, now);
    if constexpr (saves) save(now, cells, out);
  }

  RESBLOCK_INLINE void save(const Pair& now, const Cells& cells, Two<V> out) const {
    const int64_t rows = H() * W;
    A* step = saved + now.t * saved_of_cell * rows;
    // Those of two steps later; not as lines to be written, which would go to the first-level cache.
    for (int row = 0; row < saved_of_cell; ++row)
      for (int u = 0; u < UnitPairs::units; ++u)
        prefetch_line(step + (2 * saved_of_cell + row) * rows + (now.unit + u) * W);
    store_two(cells.gate.i, step, now);
    store_two(cells.gate.f, step + rows, now);
    store_two(cells.gate.g, step + 2 * rows, now);
    store_two(cells.gate.o, step + 3 * rows, now);
    store_two(cells.c, step + saved_c * rows, now);
    store_two(out, step + saved_y * rows, now);
  }

  RESBLOCK_INLINE void step(const Pair& now, const Pair& next, Sums& sums) const {
    Sums ahead;
    begin(next, ahead);
    Cells cells;
    first_half(now, sums, cells);
    multiply_x(next, ahead);
    second_half(now, cells);
    multiply_h(next, ahead);
    sums = ahead;
  }

  // The sums of the first pair, in the order of step().
  void begin_layer(Sums& sums) const {
    const Pair first = pair(0, 0);
    begin(first, sums);
    multiply_x(first, sums);
    multiply_h(first, sums);
  }

  // From the sums of the first pair to those of the pair that comes after the last one.
  __attribute__((noinline)) void run(Sums& begun, const Pair& after) const {
    Sums sums = begun;
    for (int64_t t = 0; t < w.steps; ++t) {
      for (int64_t unit = 0; unit < H() - 2; unit += 2) step(pair(t, unit), pair(t, unit + 2), sums);
      step(pair(t, last_pair()), t + 1 < w.steps ? pair(t + 1, 0) : after, sums);
    }
    begun = sums;
    copy(h_after(w.steps - 1), H() * W, h);
  }

  int64_t last_pair() const { return (H() - 1) / 2 * 2; }
};

// Where a layer's rows are saved, before they are stored; for the sake of c alone, in `scratch`.
template <class V, class A>
RESBLOCK_INLINE A* saved_rows(const Forward<A>& p, const TileWindow& w, int64_t layer, A* scratch) {
  return p.saved ? SavedTile<V>(p.saved, p.size, w).begin(layer, w.t0, scratch) : scratch;
}

// c of every step, from the rows of a layer.
template <class V, class A>
void store_cells(const Forward<A>& p, const TileWindow& w, const Running<V>& running, int64_t layer, const A* saved) {
  const int64_t H = p.size.H;
  A* to = p.cells + layer * row_count(p) * H;
  int64_t rows[V::width];
  for (int64_t t = 0; t < w.steps; ++t) {
    const int64_t lanes = running.lanes(t);
    store_lanes<V, A>(saved + (t * saved_of_cell + saved_c) * H * V::width, lanes, H,
                      step_rows(to, p, w, t, H, lanes, rows), H);
  }
}

template <bool previous, bool saves, int fixed, class V, class A>
TileLayerForward<previous, saves, fixed, V> tile_layer_forward(const Forward<A>& p, const TileWindow& w,
                                                               const Running<V>& running, int64_t layer,
                                                               const A* packed, const A* x,
                                                               const ForwardPlanes<A>& planes) {
  const auto& scratch = planes.scratch;
  const int64_t H = p.size.H, row = H * V::width;
  const auto* shortcut = has_shortcut(p.options, layer) ? planes.y(layer - 2) : nullptr;
  A* saved = nullptr;
  if constexpr (saves) saved = saved_rows<V>(p, w, layer, scratch.saved);
  return {w,
          running,
          layer ? H : p.size.I,
          H,
          !p.h_0 && w.t0 == 0,
          packed + UnitPairs::of_layer(p.size, layer),
          x,
          shortcut,
          scratch.c + layer * row,
          scratch.h + layer * row,
          planes.y(layer),
          scratch.h_of_two,
          saved};
}

// What one layer leaves to the next: the sums of its first pair of units, if it has begun with them.
template <class V>
struct NextLayer {
  PairSums<V> sums;
  bool begun = false;
};

template <bool previous, bool saves, int fixed, class V, class A>
void forward_tile_layer(const Forward<A>& p, const TileWindow& w, const Running<V>& running, int64_t layer,
                        const A* packed, const A* x, const ForwardPlanes<A>& planes, NextLayer<V>& next) {
  const auto of = [&](int64_t which, const A* from) {
    return tile_layer_forward<previous, saves, fixed, V>(p, w, running, which, packed, from, planes);
  };
  const auto forward = of(layer, x);
  // The saved activations of a tile are larger than the second-level cache, and have driven these from there.
  if (layer + 1 < planes.layers.end) {
    const int64_t row = p.size.H * V::width, from = UnitPairs::of_layer(p.size, layer + 1);
    prefetch(packed + from, UnitPairs::of_layer(p.size, layer + 2) - from);
    prefetch(planes.scratch.c + (layer + 1) * row, row);
    prefetch(planes.scratch.h + (layer + 1) * row, row);
  }
  if (!next.begun) forward.begin_layer(next.sums);
  // With several steps, the next layer's input of the first one is there by then.
  next.begun = fixed && w.steps > 1 && layer + 1 < planes.layers.end && p.options.dropout == 0;
  forward.run(next.sums,
              next.begun ? of(layer + 1, planes.y(layer)).pair(0, 0) : forward.pair(w.steps - 1, forward.last_pair()));
  if constexpr (saves) {
    A* own = planes.scratch.saved;
    if (p.cells) store_cells(p, w, running, layer, saved_rows<V>(p, w, layer, own));
    if (p.saved) SavedTile<V>(p.saved, p.size, w).store(layer, w.t0, w.steps, own);
  }
}

template <class V, class A>
void forward_tile_chunk(const Forward<A>& p, const TileWindow& w, const A* packed, const ForwardPlanes<A>& planes) {
  const Running<V> running(p, w);
  A* own_x = planes.scratch.x;
  if (planes.layers.first == 0) gather_lanes<V>(p.input, p, w, running, p.size.I, own_x);
  NextLayer<V> next;
  for (int64_t layer = planes.layers.first; layer < planes.layers.end; ++layer) {
    const bool drops = layer && p.options.dropout > 0;
    if (drops) drop_lanes<V>(p, w, layer, planes.y(layer - 1), own_x);
    const auto run = with_output_peephole(p.options, [&](auto previous) {
      return with_units<V>(layer, p.size.H, [&](auto units) {
        return p.saved || p.cells ? forward_tile_layer<previous, true, units, V, A>
                                  : forward_tile_layer<previous, false, units, V, A>;
      });
    });
    run(p, w, running, layer, packed, layer && !drops ? planes.y(layer - 1) : own_x, planes, next);
  }
  if (planes.layers.end == p.size.L) scatter_lanes<V, A>(planes.y(p.size.L - 1), p, w, running, p.size.H, p.output);
}

template <class V, class A>
void forward_tile(const Forward<A>& p, const Partition& partition, const A* packed, const TilePart& part,
                  void* workspace) {
  Arena arena{workspace};
  const ForwardTileScratch<A> scratch(p.size, partition, part.segment, arena);
  const Layers layers = layers_of(p.size, part.segment, partition.segments);
  const TileWindow w = tile_window(p, partition, part, part.chunk);
  if (part.chunk == 0) {
    load_lane_states<V>(p.h_0, p, w, layers, scratch.h, End::first);
    load_lane_states<V>(p.c_0, p, w, layers, scratch.c, End::first);
  }
  const ForwardPlanes<A> planes = {scratch, layers, part.segment + 1 < partition.segments, part.chunk % 2};
  if (w.steps) forward_tile_chunk<V, A>(p, w, packed, planes);
  if (part.chunk == chunks_of_tile(p, partition, part.tile) - 1) {
    store_lane_states<V>(scratch.h, p, w, layers, p.h_n, End::last);
    store_lane_states<V>(scratch.c, p, w, layers, p.c_n, End::last);
  }
}
