// The backward pass of one group of blocks: chunks of time from the last to the first, layers from the top down.

// Some neighbouring units, with pointers to the first.
template <bool previous, class A>
inline void cells_backward(int64_t count, int64_t H, const A* peephole, const A* gates, const A* c_previous, const A* c,
                           const A* dy, const A* dh, A* dc, A* dz, A* dpeephole) {
  for_units<A>(count, [&](auto units) {
    using V = Lanes<A, vector_lanes<A>>;
    const Gates<V> gate = {units.load(gates), units.load(gates + H), units.load(gates + 2 * H),
                           units.load(gates + 3 * H)};
    const Peephole<V> p = {units.load(peephole), units.load(peephole + H), units.load(peephole + 2 * H)};
    const V c_before = units.load(c_previous), c_now = units.load(c);
    V dc_now = units.load(dc);
    const Gates<V> d = cell_backward<previous, V>(gate, p, c_before, c_now, units.load(dy) + units.load(dh), dc_now);
    units.store(dc_now, dc);
    units.store(d.i, dz);
    units.store(d.f, dz + H);
    units.store(d.g, dz + 2 * H);
    units.store(d.o, dz + 3 * H);
    units.store(units.load(dpeephole) + d.i * c_before, dpeephole);
    units.store(units.load(dpeephole + H) + d.f * c_before, dpeephole + H);
    units.store(units.load(dpeephole + 2 * H) + d.o * (previous ? c_before : c_now), dpeephole + 2 * H);
  });
}

// The saved activations of one layer, and the state before its first step.
template <class A>
struct Activations {
  SavedLayer<const A> saved;
  const A *h_0, *c_0;
  Sizes s;

  Activations(const Backward<A>& p, int64_t layer)
      : saved(saved_layer(p.saved, p.size, layer)),
        h_0(state_at(p.h_0, layer * p.size.B * p.size.H)),
        c_0(state_at(p.c_0, layer * p.size.B * p.size.H)),
        s(p.size) {}

  const A* gates(int64_t t, int64_t b) const { return saved.gates + (t * s.B + b) * 4 * s.H; }
  const A* c(int64_t t, int64_t b) const { return saved.c + (t * s.B + b) * s.H; }

  void c_before(int64_t t, int64_t b, int64_t first, int64_t count, A* to) const {
    if (t)
      copy(c(t - 1, b) + first, count, to);
    else
      load_state(state_at(c_0, b * s.H + first), count, to);
  }

  void h_before(int64_t t, int64_t b, A* to) const {
    if (t == 0) return load_state(state_at(h_0, b * s.H), s.H, to);
    const A *o = gates(t - 1, b) + saved_gate_o * s.H, *c_now = c(t - 1, b);
    for_units<A>(s.H, [&](auto units) { units.store(units.load(o) * tanh(units.load(c_now)), to); });
  }
};

// to = dz W, its columns from the last to the first if `back`.
template <class A>
inline void through_weights(const Parallel& parallel, bool back, int64_t rows, int64_t inputs, int64_t gates,
                            const A* dz, const Right<A>& w, A* to) {
  const Left<A> left = {dz, gates, 1};
  in_parts(parallel, inputs, panel_columns<A>, rows * inputs * gates, [=](int64_t n, int64_t end) {
    if (w.packed)
      matmul_in_slices<A>(back, rows, end - n, gates, left, w.data + n * gates, {nullptr, 0}, {to + n, inputs});
    else
      matmul_in_rows<A>(rows, end - n, gates, left, {w.data + n, w.row, false}, {nullptr, 0}, {to + n, inputs});
  });
}

// The cells of one step: dz, and dc of the step before.
template <bool previous, class A>
inline void step_backward(const Parallel& parallel, const Backward<A>& p, const Window& w, int64_t t,
                          const Activations<A>& activations, const A* peephole, const A* dy, const A* dh, A* dc,
                          const BackwardBlockScratch<A>& scratch) {
  const int64_t H = p.size.H, first_row = t * w.sequences;
  in_units<A>(parallel, w, H, [&](int64_t first, int64_t count) {
    for (int64_t b = 0; b < w.sequences; ++b) {
      const int64_t row = (first_row + b) * H + first, state = b * H + first, time = w.t0 + t, sequence = w.b0 + b;
      A* dz = scratch.dz + (first_row + b) * 4 * H + first;
      if (!valid(p, w, t, b)) {
        zero_gates(dz, H, count);
        continue;
      }
      A* c_before = scratch.h_before + row;  // gather_h_before comes later
      activations.c_before(time, sequence, first, count, c_before);
      cells_backward<previous>(count, H, peephole + first, activations.gates(time, sequence) + first, c_before,
                               activations.c(time, sequence) + first, dy + row, dh + state, dc + state, dz,
                               scratch.dpeephole + first);
    }
  });
}

// One layer over one chunk: dz of all its rows, dh and dc carried to the step before the chunk.
template <bool previous, class A>
inline void recur_backward(const Parallel& parallel, const Backward<A>& p, const Window& w, int64_t layer,
                           const LayerWeights<A>& weights, const A* dy, const BackwardBlockScratch<A>& scratch) {
  const int64_t H = p.size.H, states = w.sequences * H;
  const Activations<A> activations(p, layer);
  A *dh = scratch.dh + layer * states, *dc = scratch.dc + layer * states;
  for (int64_t t = w.steps - 1; t >= 0; --t) {
    step_backward<previous>(parallel, p, w, t, activations, weights.peephole, dy, dh, dc, scratch);
    if (!p.grad_h_0 && w.t0 + t == 0) return;
    through_weights<A>(parallel, t % 2, w.sequences, H, 4 * H, scratch.dz + t * w.sequences * 4 * H, weights.hh,
                       scratch.dh_next);
    for (int64_t b = 0; b < w.sequences; ++b)
      if (valid(p, w, t, b)) copy(scratch.dh_next + b * H, H, dh + b * H);
  }
}

// h[t-1] of every row; zero past a sequence's length, where dz is zero too and a NaN must not meet it.
template <class A>
inline void gather_h_before(const Backward<A>& p, const Window& w, int64_t layer, A* to) {
  const Activations<A> activations(p, layer);
  for (int64_t t = 0; t < w.steps; ++t)
    for (int64_t b = 0; b < w.sequences; ++b, to += p.size.H) {
      if (valid(p, w, t, b))
        activations.h_before(w.t0 + t, w.b0 + b, to);
      else
        zero(to, p.size.H);
    }
}

// Where the gradients of a layer's weights are summed. The first sum is stored, the later ones are added.
template <class A>
struct LayerGradients {
  A *ih, *hh, *bias, *peephole;
};

// Without an array to sum in, the problem's own.
template <class A>
RESBLOCK_INLINE LayerGradients<A> layer_gradients(const Backward<A>& p, A* gradients, int64_t layer) {
  const int64_t H = p.size.H;
  const Weights<A>& to = p.grad_weights;
  if (!gradients)
    return {layer ? to.ih + (layer - 1) * 4 * H * H : to.ih_first, to.hh + layer * 4 * H * H, to.bias + layer * 4 * H,
            to.peephole + layer * 3 * H};
  const PackedLayer o = packed_layer(p.size, layer);
  return {gradients + o.ih, gradients + o.hh, gradients + o.bias, gradients + o.peephole};
}

// What a layer was fed in a chunk: the right sides of the products that are the gradients of its weights.
template <class A>
struct Fed {
  Right<A> x, h_before;
};

// Rows as they stand, or packed as dz is.
template <class A>
inline Fed<A> fed(const Parallel& parallel, int64_t rows, int64_t inputs, int64_t H, const A* x,
                  const BackwardBlockScratch<A>& scratch) {
  if (!scratch.packed_dz) return {{x, inputs, false}, {scratch.h_before, H, false}};
  pack_right(parallel, rows, inputs, x, scratch.packed_x);
  pack_right(parallel, rows, H, scratch.h_before, scratch.packed_h);
  return {{scratch.packed_x, 0, true}, {scratch.packed_h, 0, true}};
}

// gradients (4H, inputs) and (4H, H) += dz^T [x, h_before] over the rows of the chunk.
template <class A>
inline void add_weight_gradients(const Parallel& parallel, int64_t rows, int64_t inputs, int64_t H, const Fed<A>& fed,
                                 const BackwardBlockScratch<A>& scratch, bool first, const LayerGradients<A>& sums) {
  in_parts(parallel, 4 * H, RESBLOCK_TILE_ROWS, 4 * H * (inputs + H) * rows, [&](int64_t m, int64_t end) {
    const A* dz = scratch.dz + m;
    const Left<A> left =
        scratch.packed_dz ? pack_left(end - m, rows, dz, 4 * H, scratch.packed_dz + m * rows) : Left<A>{dz, 1, 4 * H};
    A *ih = sums.ih + m * inputs, *hh = sums.hh + m * H;
    matmul<A>(end - m, inputs, rows, left, fed.x, {first ? nullptr : ih, inputs}, {ih, inputs});
    matmul<A>(end - m, H, rows, left, fed.h_before, {first ? nullptr : hh, H}, {hh, H});
  });
}

template <class A>
inline void store_grad_input(const Backward<A>& p, const Window& w, const A* dx) {
  const Plane<A> to = at(p.grad_input, p.size, w, p.size.I);
  for (int64_t t = 0; t < w.steps; ++t) copy(dx + t * w.sequences * p.size.I, w.sequences * p.size.I, to.row(t, 0));
}

template <class A>
inline void load_grad_output(const Backward<A>& p, const Window& w, A* dy) {
  const Plane<const A> from = at(p.grad_output, p.size, w, p.size.H);
  for (int64_t t = 0; t < w.steps; ++t)
    for (int64_t b = 0; b < w.sequences; ++b, dy += p.size.H) {
      if (valid(p, w, t, b))
        copy(from.row(t, b), p.size.H, dy);
      else
        zero(dy, p.size.H);
    }
}

template <bool previous, class A>
void layer_backward(const Parallel& parallel, const Backward<A>& p, const Window& w, int64_t layer, const A* packed,
                    const A* dy, A* dx, const BackwardBlockScratch<A>& scratch, bool first, A* gradients) {
  const int64_t H = p.size.H;
  const LayerGradients<A> sums = layer_gradients(p, gradients, layer);
  const PackedLayer o = packed_layer(p.size, layer);
  const LayerWeights<A> weights = layer_weights<ForInputs>(parallel, p, layer, packed, scratch.weights);
  zero(scratch.dpeephole, 3 * H);
  recur_backward<previous>(parallel, p, w, layer, weights, dy, scratch);
  if (first) zero(sums.peephole, 3 * H);
  add(scratch.dpeephole, 3 * H, sums.peephole);
  gather_h_before(p, w, layer, scratch.h_before);
  const Plane<const A> y_before =
      layer ? at(saved_layer(p.saved, p.size, layer - 1).y, p.size, w, H) : Plane<const A>{};
  const A* x = dense_inputs<A>(p, w, layer, y_before, scratch.x);
  add_weight_gradients(parallel, w.rows(), o.inputs, H, fed(parallel, w.rows(), o.inputs, H, x, scratch), scratch,
                       first, sums);
  const A one = 1;
  matmul<A>(1, 4 * H, w.rows(), {&one, 0, 0}, {scratch.dz, 4 * H, false}, {first ? nullptr : sums.bias, 0},
            {sums.bias, 0});
  if (!layer && !p.grad_input) return;
  through_weights<A>(parallel, false, w.rows(), o.inputs, 4 * H, scratch.dz, weights.ih, dx);
  drop(p, w, layer, dx);
}

template <bool previous, class A>
void backward_chunk(const Parallel& parallel, const Backward<A>& p, const Window& w, const A* packed,
                    const BackwardBlockScratch<A>& scratch, bool first, A* gradients) {
  const int64_t L = p.size.L;
  load_grad_output(p, w, scratch.dy[(L - 1) % 3]);
  for (int64_t layer = L - 1; layer >= 0; --layer) {
    A* dx = layer ? scratch.dy[(layer - 1) % 3] : scratch.dx;
    layer_backward<previous>(parallel, p, w, layer, packed, scratch.dy[layer % 3], dx, scratch, first, gradients);
    if (shortcut_passes(p.size, p.options, layer)) add(scratch.dy[(layer + 1) % 3], w.rows() * p.size.H, dx);
  }
  if (p.grad_input) store_grad_input(p, w, scratch.dx);
}

template <class A>
void backward_block(const Parallel& parallel, const Backward<A>& p, const Partition& partition, const A* packed,
                    int64_t block, const BackwardBlockScratch<A>& scratch, bool first, A* gradients) {
  Window w = block_window(p.size, partition, block);
  load_states(p.grad_h_n, p.size, w, scratch.dh);
  load_states(p.grad_c_n, p.size, w, scratch.dc);
  for (int64_t chunk = partition.chunks - 1; chunk >= 0; --chunk) {
    w.t0 = chunk * partition.steps;
    w.steps = p.size.T - w.t0 < partition.steps ? p.size.T - w.t0 : partition.steps;
    with_output_peephole(
        p.options, [&](auto previous) { backward_chunk<previous>(parallel, p, w, packed, scratch, first, gradients); });
    first = false;
  }
  if (!p.grad_h_0) return;
  store_states(scratch.dh, p.size, w, p.grad_h_0);
  store_states(scratch.dc, p.size, w, p.grad_c_0);
}

// Where nothing is summed.
template <class A>
inline void zero_gradients(const Backward<A>& p, A* gradients) {
  const int64_t H = p.size.H;
  for (int64_t layer = 0; layer < p.size.L; ++layer) {
    const LayerGradients<A> sums = layer_gradients(p, gradients, layer);
    zero(sums.ih, 4 * H * packed_layer(p.size, layer).inputs);
    zero(sums.hh, 4 * H * H);
    zero(sums.bias, 4 * H);
    zero(sums.peephole, 3 * H);
  }
}

template <class A>
void backward_group(const Backward<A>& p, const Parallel& parallel, const Partition& partition, const A* packed,
                    int64_t group, A* gradients, void* workspace) {
  Arena arena{workspace};
  const BackwardBlockScratch<A> scratch(p.size, partition, arena);
  const int64_t first = group * partition.blocks / partition.groups,
                end = (group + 1) * partition.blocks / partition.groups;
  if (first == end || p.size.T == 0) zero_gradients(p, gradients);
  for (int64_t block = first; block < end; ++block)
    backward_block(parallel, p, partition, packed, block, scratch, block == first, gradients);
}
