// The forward pass of one block of sequences.

// Where a layer writes in this chunk: the saved activations, or scratch. Three planes of y alternate, because the
// shortcut reaches two layers back.
template <class A>
inline LayerPlanes<A> layer_planes(const Forward<A>& p, const Window& w, int64_t layer,
                                   const ForwardBlockScratch<A>& scratch) {
  const int64_t H = p.size.H;
  if (p.saved) return saved_planes(p.saved, p, w, layer);
  const Plane<A> c = p.cells ? dense(scratch.cells, w, H) : Plane<A>{};
  return {dense(scratch.gates, w, gates_of_cell * H), c, dense(scratch.y[layer % 3], w, H)};
}

// z = start + x W^T, the gates from the last to the first if `back`.
template <class A>
inline void add_gates(const Parallel& parallel, bool back, int64_t rows, int64_t gates, int64_t inputs, const A* x,
                      const LayerMatrix<A>& weights, Rows<const A> start, Rows<A> z, const RoundedProducts& rounded) {
  if constexpr (sizeof(A) == sizeof(float))
    if (weights.rounded)
      return multiply_rounded(parallel, back, rows, gates, inputs, x, weights.rounded, start, z, rounded);
  const Left<A> left = {x, inputs, 1};
  const Right<A>& w = weights.full;
  in_parts(parallel, gates, panel_columns<A>, rows * gates * inputs, [=](int64_t n, int64_t end) {
    const Rows<const A> from = {start.data + n, start.row};
    const Rows<A> to = {z.data + n, z.row};
    if (w.packed)
      matmul_in_slices<A>(back, rows, end - n, inputs, left, w.data + n * inputs, from, to);
    else
      matmul_transposed<A>(rows, end - n, inputs, left, w.data + n * inputs, from, to);
  });
}

// z = W x + b for all steps of the chunk.
template <class A>
inline void project(const Parallel& parallel, const Sizes& s, const Window& w, int64_t inputs, const A* x,
                    const LayerWeights<A>& weights, Plane<A> z, const RoundedProducts& rounded) {
  const auto steps = [&](int64_t t, int64_t rows) {
    add_gates<A>(parallel, false, rows, z.width, inputs, x + w.first_row[t] * inputs, weights.ih, {weights.bias, 0},
                 {z.row(t, 0), z.width}, rounded);
  };
  if (is_dense(z, s, w)) return steps(0, w.rows());
  for (int64_t t = 0; t < w.steps; ++t) steps(t, w.running(t));
}

// What a step of one sequence reads and writes besides its gates.
template <class A>
struct CellRows {
  const A* shortcut;  // or null
  A *h, *c;           // the state
  A* c_saved;         // or null: the gates are not saved either
  A* y;
};

// Some neighbouring units, with pointers to the first.
template <bool previous, class A>
inline void cells_forward(int64_t count, int64_t H, const A* peephole, A* z, const CellRows<A>& rows) {
  for_units<A, 2>(count, [&](auto units) {
    using V = typename decltype(units)::Vec;
    Gates<V> gate = {units.load(z), units.load(z + H), units.load(z + 2 * H), units.load(z + 3 * H)};
    const CellState<V> now = cell_forward<previous, V>(
        gate, {units.load(peephole), units.load(peephole + H), units.load(peephole + 2 * H)}, units.load(rows.c));
    units.store(now.c, rows.c);
    units.store(now.h, rows.h);
    units.store(rows.shortcut ? now.h + units.load(rows.shortcut) : now.h, rows.y);
    if (!rows.c_saved) return;
    units.store(now.c, rows.c_saved);
    units.store(gate.i, z);
    units.store(gate.f, z + H);
    units.store(gate.g, z + 2 * H);
    units.store(gate.o, z + 3 * H);
  });
}

// The cells of one step.
template <bool previous, class A>
inline void step_forward(const Parallel& parallel, const Window& w, int64_t t, const A* peephole,
                         const LayerPlanes<A>& to, const Plane<A>* shortcut, A* h, A* c) {
  const int64_t H = to.y.width, running = w.running(t);
  in_units<A>(parallel, running, H, [&](int64_t first, int64_t count) {
    for (int64_t b = 0; b < running; ++b) {
      const int64_t state = b * H + first;
      const CellRows<A> rows = {shortcut ? shortcut->row(t, b) + first : nullptr, h + state, c + state,
                                to.c.data ? to.c.row(t, b) + first : nullptr, to.y.row(t, b) + first};
      cells_forward<previous>(count, H, peephole + first, to.gates.row(t, b) + first, rows);
    }
  });
}

// One layer over one chunk. h and c hold the layer's state of every sequence; those that have ended keep theirs.
template <class A>
inline void recur(const Parallel& parallel, const Forward<A>& p, const Window& w, const LayerWeights<A>& weights,
                  const LayerPlanes<A>& to, const Plane<A>* shortcut, A* h, A* c, const RoundedProducts& rounded) {
  const int64_t H = p.size.H;
  for (int64_t t = 0; t < w.steps; ++t) {
    A* z = to.gates.row(t, 0);
    const bool from_zeros = !p.h_0 && w.t0 + t == 0;
    if (!from_zeros)
      add_gates<A>(parallel, t % 2, w.running(t), 4 * H, H, h, weights.hh, {z, 4 * H}, {z, 4 * H}, rounded);
    with_output_peephole(p.options, [&](auto previous) {
      step_forward<previous>(parallel, w, t, weights.peephole, to, shortcut, h, c);
    });
  }
}

template <class A>
void forward_chunk(const Parallel& parallel, const Forward<A>& p, const Partition& partition, const Window& w,
                   const A* packed, const ForwardBlockScratch<A>& scratch) {
  const int64_t states = w.sequences * p.size.H;
  LayerPlanes<A> before = {}, two_before = {};
  for (int64_t layer = 0; layer < p.size.L; ++layer) {
    const LayerWeights<A> weights = layer_weights<ForGates>(parallel, p, partition, layer, packed, scratch.weights);
    const LayerPlanes<A> now = layer_planes(p, w, layer, scratch);
    const A* x = dense_inputs<A>(p, w, layer, before.y, scratch.x);
    project(parallel, p.size, w, packed_layer(p.size, layer).inputs, x, weights, now.gates, scratch.rounded);
    recur(parallel, p, w, weights, now, has_shortcut(p.options, layer) ? &two_before.y : nullptr,
          scratch.h + layer * states, scratch.c + layer * states, scratch.rounded);
    if (p.cells) scatter_rows(p, w, now.c, p.cells + layer * row_count(p) * p.size.H);
    two_before = before;
    before = now;
  }
  scatter_rows(p, w, before.y, p.output);
}

template <class A>
void forward_block(const Forward<A>& p, const Parallel& parallel, const Partition& partition, const A* packed,
                   int64_t block, void* workspace) {
  Arena arena{workspace};
  const ForwardBlockScratch<A> scratch(p.size, partition, arena);
  Window w = block_window(p.size, partition, block, scratch.first_row);
  load_states(p, p.h_0, w, scratch.h, End::first);
  load_states(p, p.c_0, w, scratch.c, End::first);
  while (next_chunk(p, partition, w)) forward_chunk(parallel, p, partition, w, packed, scratch);
  store_states(p, scratch.h, w, p.h_n, End::last);
  store_states(p, scratch.c, w, p.c_n, End::last);
}
