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

// The saved activations of one layer over one chunk, and the state before the first step of all.
template <class A>
struct Activations {
  const Inputs<A>& p;
  const Window& w;
  int64_t layer;
  LayerPlanes<const A> saved;

  Activations(const Backward<A>& p, const Window& w, int64_t layer)
      : p(p), w(w), layer(layer), saved(saved_planes(p.saved, p, w, layer)) {}

  bool is_first(int64_t t) const { return w.t0 + t == 0; }
  const A* initial(const A* states, int64_t b) const { return state_of(p, states, layer, w.b0 + b, End::first); }

  void c_before(int64_t t, int64_t b, int64_t first, int64_t count, A* to) const {
    if (is_first(t))
      load_state(state_at(initial(p.c_0, b), first), count, to);
    else
      copy(saved.c.row(t - 1, b) + first, count, to);
  }

  void h_before(int64_t t, int64_t b, A* to) const {
    if (is_first(t)) return load_state(initial(p.h_0, b), p.size.H, to);
    const A *o = saved.gates.row(t - 1, b) + saved_gate_o * p.size.H, *c_now = saved.c.row(t - 1, b);
    for_units<A>(p.size.H, [&](auto units) { units.store(units.load(o) * tanh(units.load(c_now)), to); });
  }
};

// to = dz W, its columns from the last to the first if `back`.
template <class A>
inline void through_weights(const Parallel& parallel, bool back, int64_t rows, int64_t inputs, int64_t gates,
                            const A* dz, const LayerMatrix<A>& weights, A* to, const RoundedProducts& rounded) {
  if constexpr (sizeof(A) == sizeof(float))
    if (weights.rounded)
      return multiply_rounded(parallel, back, rows, inputs, gates, dz, weights.rounded, {nullptr, 0}, {to, inputs},
                              rounded);
  const Left<A> left = {dz, gates, 1};
  const Right<A>& w = weights.full;
  in_parts(parallel, inputs, panel_columns<A>, rows * inputs * gates, [=](int64_t n, int64_t end) {
    if (w.packed)
      matmul_in_slices<A>(back, rows, end - n, gates, left, w.data + n * gates, {nullptr, 0}, {to + n, inputs});
    else
      matmul_in_rows<A>(rows, end - n, gates, left, {w.data + n, w.row, false}, {nullptr, 0}, {to + n, inputs});
  });
}

// The cells of one step: dz, and dc of the step before.
template <bool previous, class A>
inline void step_backward(const Parallel& parallel, int64_t t, const Activations<A>& activations, const A* peephole,
                          const A* dy, const A* dh, A* dc, const BackwardBlockScratch<A>& scratch) {
  const int64_t H = activations.p.size.H, running = activations.w.running(t);
  const LayerPlanes<const A>& saved = activations.saved;
  in_units<A>(parallel, running, H, [&](int64_t first, int64_t count) {
    for (int64_t b = 0; b < running; ++b) {
      const int64_t row = activations.w.first_row[t] + b, at = row * H + first, state = b * H + first;
      A* c_before = scratch.h_before + at;  // gather_h_before comes later
      activations.c_before(t, b, first, count, c_before);
      cells_backward<previous>(count, H, peephole + first, saved.gates.row(t, b) + first, c_before,
                               saved.c.row(t, b) + first, dy + at, dh + state, dc + state,
                               scratch.dz + row * 4 * H + first, scratch.dpeephole + first);
    }
  });
}

// One layer over one chunk: dz of all its rows, dh and dc carried to the step before the chunk. Where a sequence has
// not ended yet, as seen from the last step, its states hold the gradients of h_n and c_n.
template <class A>
inline void recur_backward(const Parallel& parallel, const Backward<A>& p, const Window& w, int64_t layer,
                           const Activations<A>& activations, const LayerWeights<A>& weights, const A* dy,
                           const BackwardBlockScratch<A>& scratch) {
  const int64_t H = p.size.H, states = w.sequences * H;
  A *dh = scratch.dh + layer * states, *dc = scratch.dc + layer * states;
  const A* grad_cells = p.grad_cells ? p.grad_cells + layer * row_count(p) * H : nullptr;
  for (int64_t t = w.steps - 1; t >= 0; --t) {
    for (int64_t b = 0; grad_cells && b < w.running(t); ++b)
      add(grad_cells + row_at(p, w.t0 + t, w.b0 + b) * H, H, dc + b * H);
    with_output_peephole(p.options, [&](auto previous) {
      step_backward<previous>(parallel, t, activations, weights.peephole, dy, dh, dc, scratch);
    });
    if (!p.grad_h_0 && w.t0 + t == 0) return;
    through_weights<A>(parallel, t % 2, w.running(t), H, 4 * H, scratch.dz + w.first_row[t] * 4 * H, weights.hh, dh,
                       scratch.rounded);
  }
}

// h[t-1] of every row.
template <class A>
inline void gather_h_before(const Activations<A>& activations, A* to) {
  const Window& w = activations.w;
  for (int64_t t = 0; t < w.steps; ++t)
    for (int64_t b = 0; b < w.running(t); ++b, to += activations.p.size.H) activations.h_before(t, b, to);
}

// Where the gradients of a layer's weights are summed, or null. The first sum is stored, the later ones are added.
// Without an array to sum in, the problem's own.
template <class A>
RESBLOCK_INLINE LayerGradients<A> gradient_sums(const Backward<A>& p, A* gradients, int64_t layer) {
  const LayerGradients<A> wanted = wanted_gradients(p, layer);
  if (!gradients) return wanted;
  const PackedLayer o = packed_layer(p.size, layer);
  const auto sum = [=](A* of, int64_t offset) { return of ? gradients + offset : nullptr; };
  return {sum(wanted.ih, o.ih), sum(wanted.hh, o.hh), sum(wanted.bias, o.bias), sum(wanted.peephole, o.peephole)};
}

// What a layer was fed in a chunk: the right sides of the products that are the gradients of its weights.
template <class A>
struct Fed {
  Right<A> x, h_before;
};

// Rows as they stand, or packed as dz is.
template <class A>
inline Fed<A> packed_fed(const Parallel& parallel, int64_t rows, int64_t inputs, int64_t H, const A* x,
                         const BackwardBlockScratch<A>& scratch) {
  if (!scratch.packed_dz) return {{x, inputs, false}, {scratch.h_before, H, false}};
  pack_right(parallel, rows, inputs, x, scratch.packed_x);
  pack_right(parallel, rows, H, scratch.h_before, scratch.packed_h);
  return {{scratch.packed_x, 0, true}, {scratch.packed_h, 0, true}};
}

// sum (4H, columns) += dz^T x over the rows of the chunk, with dz rounded on the left.
inline void add_rounded_gradient(const Parallel& parallel, int64_t rows, int64_t columns, int64_t H, const float* x,
                                 const RoundedProducts& rounded, bool first, float* sum) {
  if (!sum) return;
  pack_bfloat16(rows, columns, x, columns, rounded.right);
  in_parts(parallel, 4 * H, 2 * bfloat16_columns, 4 * H * columns * rows / times_faster_rounded,
           [=](int64_t m, int64_t end) {
             float* to = sum + m * columns;
             rounded.multiply({end - m, columns, rows, rounded.left + m * left_row(rows), rounded.right,
                               first ? nullptr : to, columns, to, columns, false});
           });
}

inline void add_weight_gradients_rounded(const Parallel& parallel, int64_t rows, int64_t inputs, int64_t H,
                                         const float* x, const BackwardBlockScratch<float>& scratch, bool first,
                                         const LayerGradients<float>& sums) {
  round_transposed_to_bfloat16(4 * H, rows, scratch.dz, 4 * H, scratch.rounded.left);
  add_rounded_gradient(parallel, rows, inputs, H, x, scratch.rounded, first, sums.ih);
  add_rounded_gradient(parallel, rows, H, H, scratch.h_before, scratch.rounded, first, sums.hh);
}

// gradients (4H, inputs) and (4H, H) += dz^T [x, h_before] over the rows of the chunk.
template <class A>
inline void add_weight_gradients(const Parallel& parallel, int64_t rows, int64_t inputs, int64_t H, const A* x,
                                 const BackwardBlockScratch<A>& scratch, bool first, const LayerGradients<A>& sums) {
  if constexpr (sizeof(A) == sizeof(float))
    if (scratch.rounded.multiply)
      return add_weight_gradients_rounded(parallel, rows, inputs, H, x, scratch, first, sums);
  const Fed<A> fed = packed_fed(parallel, rows, inputs, H, x, scratch);
  in_parts(parallel, 4 * H, RESBLOCK_TILE_ROWS, 4 * H * (inputs + H) * rows, [&](int64_t m, int64_t end) {
    const A* dz = scratch.dz + m;
    const Left<A> left =
        scratch.packed_dz ? pack_left(end - m, rows, dz, 4 * H, scratch.packed_dz + m * rows) : Left<A>{dz, 1, 4 * H};
    const auto add_products = [&](A* sum, int64_t columns, const Right<A>& right) {
      if (!sum) return;
      A* to = sum + m * columns;
      matmul<A>(end - m, columns, rows, left, right, {first ? nullptr : to, columns}, {to, columns});
    };
    add_products(sums.ih, inputs, fed.x);
    add_products(sums.hh, H, fed.h_before);
  });
}

template <class A>
void layer_backward(const Parallel& parallel, const Backward<A>& p, const Partition& partition, const Window& w,
                    int64_t layer, const A* packed, const A* dy, A* dx, const BackwardBlockScratch<A>& scratch,
                    bool first, A* gradients) {
  const int64_t H = p.size.H;
  const Activations<A> activations(p, w, layer);
  const LayerGradients<A> sums = gradient_sums(p, gradients, layer);
  const PackedLayer o = packed_layer(p.size, layer);
  const LayerWeights<A> weights = layer_weights<ForInputs>(parallel, p, partition, layer, packed, scratch.weights);
  zero(scratch.dpeephole, 3 * H);
  recur_backward(parallel, p, w, layer, activations, weights, dy, scratch);
  if (sums.peephole) {
    if (first) zero(sums.peephole, 3 * H);
    add(scratch.dpeephole, 3 * H, sums.peephole);
  }
  if (sums.ih || sums.hh) {
    if (sums.hh) gather_h_before(activations, scratch.h_before);
    const Plane<const A> y_before = layer ? saved_planes(p.saved, p, w, layer - 1).y : Plane<const A>{};
    const A* x = dense_inputs<A>(p, w, layer, y_before, scratch.x);
    add_weight_gradients(parallel, w.rows(), o.inputs, H, x, scratch, first, sums);
  }
  const A one = 1;
  if (sums.bias)
    matmul<A>(1, 4 * H, w.rows(), {&one, 0, 0}, {scratch.dz, 4 * H, false}, {first ? nullptr : sums.bias, 0},
              {sums.bias, 0});
  if (!layer && !p.grad_input) return;
  through_weights<A>(parallel, false, w.rows(), o.inputs, 4 * H, scratch.dz, weights.ih, dx, scratch.rounded);
  drop(p, w, layer, dx);
}

template <class A>
void backward_chunk(const Parallel& parallel, const Backward<A>& p, const Partition& partition, const Window& w,
                    const A* packed, const BackwardBlockScratch<A>& scratch, bool first, A* gradients) {
  const int64_t L = p.size.L;
  gather_rows(p, w, p.grad_output, p.size.H, scratch.dy[(L - 1) % 3]);
  for (int64_t layer = L - 1; layer >= 0; --layer) {
    A* dx = layer ? scratch.dy[(layer - 1) % 3] : scratch.dx;
    layer_backward(parallel, p, partition, w, layer, packed, scratch.dy[layer % 3], dx, scratch, first, gradients);
    if (shortcut_passes(p.size, p.options, layer)) add(scratch.dy[(layer + 1) % 3], w.rows() * p.size.H, dx);
  }
  if (p.grad_input) scatter_rows(p, w, dense(scratch.dx, w, p.size.I), p.grad_input);
}

template <class A>
void backward_block(const Parallel& parallel, const Backward<A>& p, const Partition& partition, const A* packed,
                    int64_t block, const BackwardBlockScratch<A>& scratch, bool first, A* gradients) {
  Window w = block_window(p.size, partition, block, scratch.first_row);
  load_states(p, p.grad_h_n, w, scratch.dh, End::last);
  load_states(p, p.grad_c_n, w, scratch.dc, End::last);
  w.t0 = running_steps(p, w.b0);
  for (; previous_chunk(p, partition, w); first = false)
    backward_chunk(parallel, p, partition, w, packed, scratch, first, gradients);
  if (!p.grad_h_0) return;
  store_states(p, scratch.dh, w, p.grad_h_0, End::first);
  store_states(p, scratch.dc, w, p.grad_c_0, End::first);
}

// Where nothing is summed.
template <class A>
inline void zero_gradients(const Backward<A>& p, A* gradients) {
  const int64_t H = p.size.H;
  for (int64_t layer = 0; layer < p.size.L; ++layer) {
    const LayerGradients<A> sums = gradient_sums(p, gradients, layer);
    const auto zero_if_wanted = [](A* sum, int64_t n) {
      if (sum) zero(sum, n);
    };
    zero_if_wanted(sums.ih, 4 * H * packed_layer(p.size, layer).inputs);
    zero_if_wanted(sums.hh, 4 * H * H);
    zero_if_wanted(sums.bias, 4 * H);
    zero_if_wanted(sums.peephole, 3 * H);
  }
}

template <class A>
void backward_group(const Backward<A>& p, const Parallel& parallel, const Partition& partition, const A* packed,
                    int64_t group, A* gradients, void* workspace) {
  Arena arena{workspace};
  const BackwardBlockScratch<A> scratch(p.size, partition, arena);
  // The first block of a group is its longest.
  if (group >= partition.blocks || running_steps(p, group * partition.sequences) == 0) zero_gradients(p, gradients);
  for (int64_t block = group; block < partition.blocks; block += partition.groups)
    backward_block(parallel, p, partition, packed, block, scratch, block == group, gradients);
}
