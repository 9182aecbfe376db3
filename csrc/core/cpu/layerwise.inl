// The layerwise schedule: what its forward and its backward pass share. Compiled once per instruction set, inside its
// namespace.

// The part of the problem at hand: sequences [b0, b0 + sequences), steps [t0, t0 + steps). A row is one step of one
// sequence, and there are only those that run: step after step, the sequences of a step in the block's order. As longer
// ones come first, these are the first few.
struct Window {
  int64_t b0, sequences, t0, steps;
  int64_t* first_row;  // (steps + 1,) where each step's rows begin within the chunk

  int64_t rows() const { return first_row[steps]; }
  int64_t running(int64_t t) const { return first_row[t + 1] - first_row[t]; }
};

inline Window block_window(const Sizes& s, const Partition& partition, int64_t block, int64_t* first_row) {
  const int64_t b0 = block * partition.sequences, rest = s.B - b0;
  first_row[0] = 0;
  return {b0, rest < partition.sequences ? rest : partition.sequences, 0, 0, first_row};
}

// How many sequences of the block run at a step, where no more than `most` can.
template <class A>
inline int64_t running_at(const Inputs<A>& p, const Window& w, int64_t t, int64_t most) {
  while (most > 0 && running_steps(p, w.b0 + most - 1) <= t) --most;
  return most;
}

// The chunk from step t0 on, before `end`, with as many rows as a chunk holds.
template <class A>
inline void lay_out_chunk(const Inputs<A>& p, const Partition& partition, int64_t end, Window& w) {
  int64_t running = running_at(p, w, w.t0, w.sequences);
  for (w.steps = 0; w.t0 + w.steps < end && running && w.rows() + running <= partition.rows;) {
    w.first_row[w.steps + 1] = w.rows() + running;
    ++w.steps;
    running = running_at(p, w, w.t0 + w.steps, running);
  }
}

// Moves on to the next chunk, if there is one.
template <class A>
inline bool next_chunk(const Inputs<A>& p, const Partition& partition, Window& w) {
  w.t0 += w.steps;
  lay_out_chunk(p, partition, p.size.T, w);
  return w.steps > 0;
}

// Moves back to the chunk before t0.
template <class A>
inline bool previous_chunk(const Inputs<A>& p, const Partition& partition, Window& w) {
  const int64_t end = w.t0;
  for (int64_t rows = 0; w.t0 > 0; --w.t0) {
    rows += running_at(p, w, w.t0 - 1, w.sequences);
    if (rows > partition.rows) break;
  }
  lay_out_chunk(p, partition, end, w);
  return w.steps > 0;
}

// Where the rows of a chunk stand in an array: in scratch one after the other; among saved activations with those of
// the other blocks, step after step.
template <class A>
struct Plane {
  A* data;               // the chunk's first row
  const int64_t* first;  // of each step's rows, or null: a step has `stride` rows
  int64_t stride, width;

  RESBLOCK_INLINE A* row(int64_t t, int64_t b) const {
    return data + ((first ? first[t] - first[0] : t * stride) + b) * width;
  }
};

template <class A>
RESBLOCK_INLINE Plane<A> dense(A* scratch, const Window& w, int64_t width) {
  return {scratch, w.first_row, 0, width};
}

template <class A, class S>
RESBLOCK_INLINE Plane<A> saved_plane(A* whole, const Inputs<S>& p, const Window& w, int64_t width) {
  return {whole + (rows_before(p, w.t0) + w.b0) * width, p.rows_before ? p.rows_before + w.t0 : nullptr, p.size.B,
          width};
}

template <class A>
struct LayerPlanes {
  Plane<A> gates, c, y;  // c without data where nothing is saved
};

template <class A, class S>
inline LayerPlanes<A> saved_planes(A* saved, const Inputs<S>& p, const Window& w, int64_t layer) {
  const int64_t H = p.size.H;
  const SavedLayer<A> of_layer = saved_layer(saved, rows_before(p, p.size.T), H, layer);
  return {saved_plane(of_layer.gates, p, w, gates_of_cell * H), saved_plane(of_layer.c, p, w, H),
          saved_plane(of_layer.y, p, w, H)};
}

// Whether the rows of the chunk are neighbours there.
template <class A>
RESBLOCK_INLINE bool is_dense(const Plane<A>& plane, const Sizes& s, const Window& w) {
  return plane.first == w.first_row || w.sequences == s.B;
}

// (L, B, H) <-> (L, sequences, H): the states with which the steps of the block's sequences begin or end.
template <class A>
inline void load_states(const Inputs<A>& p, const A* from, const Window& w, A* to, End end) {
  const int64_t H = p.size.H, states = w.sequences * H;
  for (int64_t l = 0; l < p.size.L; ++l, to += states)
    if (!from || states_are_neighbours(p))
      load_state(state_at(from, (l * p.size.B + w.b0) * H), states, to);
    else
      for (int64_t b = 0; b < w.sequences; ++b) load_state(state_of(p, from, l, w.b0 + b, end), H, to + b * H);
}

template <class A>
inline void store_states(const Inputs<A>& p, const A* from, const Window& w, A* to, End end) {
  const int64_t H = p.size.H, states = w.sequences * H;
  for (int64_t l = 0; l < p.size.L; ++l, from += states)
    if (states_are_neighbours(p))
      copy(from, states, to + (l * p.size.B + w.b0) * H);
    else
      for (int64_t b = 0; b < w.sequences; ++b)
        if (A* state = state_of(p, to, l, w.b0 + b, end)) copy(from + b * H, H, state);
}

// Calls body(t, b, row, count) for rows that are neighbours in inputs or outputs: where there, and how many.
template <class A, class Body>
inline void each_run(const Inputs<A>& p, const Window& w, const Body& body) {
  const bool neighbours = rows_are_neighbours(p);
  for (int64_t t = 0; t < w.steps; ++t)
    for (int64_t b = 0, count = neighbours ? w.running(t) : 1; b < w.running(t); b += count)
      body(t, b, row_at(p, w.t0 + t, w.b0 + b), count);
}

// Inputs, or gradients of outputs, to rows of the chunk.
template <class A>
inline void gather_rows(const Inputs<A>& p, const Window& w, const A* from, int64_t width, A* to) {
  each_run(p, w, [=](int64_t t, int64_t b, int64_t row, int64_t count) {
    copy(from + row * width, count * width, to + (w.first_row[t] + b) * width);
  });
}

template <class A>
inline void scatter_rows(const Inputs<A>& p, const Window& w, const Plane<A>& from, A* to) {
  each_run(p, w, [=](int64_t t, int64_t b, int64_t row, int64_t count) {
    copy<A>(from.row(t, b), count * from.width, to + row * from.width);
  });
}

// Calls body(first, count) for neighbouring units of the cells of some sequences at a step, side by side if there are
// so many. Sums over sequences stay within a unit.
template <class A, class Body>
inline void in_units(const Parallel& parallel, int64_t sequences, int64_t H, const Body& body) {
  const int64_t multiply_adds_worth = 128;  // what a unit takes
  in_parts(parallel, H, vector_lanes<A>, sequences * H * multiply_adds_worth,
           [&](int64_t first, int64_t end) { body(first, end - first); });
}

// Multiplies the rows of an input of `layer`, or of its gradient, by the dropout mask.
template <class A>
inline void drop(const Inputs<A>& p, const Window& w, int64_t layer, A* rows) {
  if (p.options.dropout <= 0 || layer == 0) return;
  const int64_t H = p.size.H;
  const Dropout dropout(p.options.seed, p.options.dropout);
  for (int64_t t = 0; t < w.steps; ++t)
    for (int64_t b = 0; b < w.running(t); ++b, rows += H)
      for (int64_t u = 0; u < H; u += 4) {
        A factor[4];
        dropout.factors(layer, time_at(p, w.t0 + t, w.b0 + b), sequence_at(p, w.b0 + b), u / 4, factor);
        for (int64_t k = u; k < u + 4 && k < H; ++k) rows[k] *= factor[k - u];
      }
}

// The inputs of a layer as dense rows: where they stand if they are, else gathered.
template <class A, class Y>
inline const A* dense_inputs(const Inputs<A>& p, const Window& w, int64_t layer, Plane<Y> y_before, A* x) {
  if (layer == 0) {
    const bool all = rows_are_neighbours(p) && (p.packed ? w.sequences == p.size.B : w.rows() == w.steps * p.size.B);
    if (all) return p.input + row_at(p, w.t0, 0) * p.size.I;
    gather_rows(p, w, p.input, p.size.I, x);
    return x;
  }
  const bool drops = p.options.dropout > 0;
  if (!drops && is_dense(y_before, p.size, w)) return y_before.data;
  for (int64_t t = 0; t < w.steps; ++t)
    copy<A>(y_before.row(t, 0), w.running(t) * y_before.width, x + w.first_row[t] * y_before.width);
  drop(p, w, layer, x);
  return x;
}

// A matrix of a layer's weights as its products want it: packed, or as the problem has it; or packed in bfloat16.
template <class A>
struct LayerMatrix {
  Right<A> full;
  const bfloat16* rounded;
};

template <class A>
struct LayerWeights {
  LayerMatrix<A> ih, hh;
  const A *bias, *peephole;
};

template <class A>
RESBLOCK_INLINE LayerWeights<A> weights_in_place(const Inputs<A>& p, int64_t layer) {
  const LayerSource<A> w = layer_source(p, layer);
  return {{{w.ih, packed_layer(p.size, layer).inputs, false}, nullptr},
          {{w.hh, p.size.H, false}, nullptr},
          w.bias,
          w.peephole};
}

// `packed` begins with the layer's weights.
template <class A>
RESBLOCK_INLINE LayerWeights<A> packed_weights(const Inputs<A>& p, Products products, int64_t layer, const A* packed) {
  if (products != Products::full) {
    const LayerSource<A> w = layer_source(p, layer);
    const PackedLayer o = packed_bfloat16_layer(p.size, layer);
    const auto* rounded = reinterpret_cast<const bfloat16*>(packed);
    return {{{}, rounded}, {{}, rounded + o.hh - o.ih}, w.bias, w.peephole};
  }
  const PackedLayer o = packed_layer(p.size, layer);
  return {{{packed, 0, true}, nullptr},
          {{packed + o.hh - o.ih, 0, true}, nullptr},
          packed + o.bias - o.ih,
          packed + o.peephole - o.ih};
}

// For z = x W^T: the products run over the inputs, the columns are the gates.
struct ForGates {
  template <class A>
  void operator()(const Parallel& parallel, int64_t gates, int64_t inputs, const A* w, A* packed) const {
    pack_right_transposed(parallel, inputs, gates, w, packed);
  }
  void operator()(const Parallel& parallel, int64_t gates, int64_t inputs, const bfloat16* w, bfloat16* packed) const {
    in_parts(parallel, gates, bfloat16_columns, inputs * gates * multiply_adds_worth_packing,
             [=](int64_t n, int64_t end) {
               pack_bfloat16_transposed(inputs, end - n, w + n * inputs, packed + n * padded_depth(inputs));
             });
  }
};

// For dx = dz W: the products run over the gates, the columns are the inputs.
struct ForInputs {
  template <class A>
  void operator()(const Parallel& parallel, int64_t gates, int64_t inputs, const A* w, A* packed) const {
    pack_right(parallel, gates, inputs, w, packed);
  }
  void operator()(const Parallel& parallel, int64_t gates, int64_t inputs, const bfloat16* w, bfloat16* packed) const {
    in_parts(parallel, inputs, bfloat16_columns, inputs * gates * multiply_adds_worth_packing,
             [=](int64_t n, int64_t end) {
               pack_bfloat16(gates, end - n, w + n, inputs, packed + n * padded_depth(gates));
             });
  }
};

template <class Pack, class A>
inline void pack_matrices(const Parallel& parallel, const Sizes& s, const PackedLayer& o, const A* ih, const A* hh,
                          A* packed) {
  Pack()(parallel, 4 * s.H, o.inputs, ih, packed);
  Pack()(parallel, 4 * s.H, s.H, hh, packed + o.hh - o.ih);
}

template <class Pack, class A>
void pack_layer(const Parallel& parallel, const Inputs<A>& p, Products products, int64_t layer, A* packed) {
  if (products != Products::full) {
    const LayerSource<bfloat16> w = layer_source(p.size, p.bfloat16_weights, layer);
    return pack_matrices<Pack>(parallel, p.size, packed_bfloat16_layer(p.size, layer), w.ih, w.hh,
                               reinterpret_cast<bfloat16*>(packed));
  }
  const LayerSource<A> w = layer_source(p, layer);
  const PackedLayer o = packed_layer(p.size, layer);
  pack_matrices<Pack>(parallel, p.size, o, w.ih, w.hh, packed);
  load_small(p, layer, packed + o.bias - o.ih, packed + o.peephole - o.ih);
}

template <class Pack, class A>
void pack_ahead(const Inputs<A>& p, const Partition& partition, int64_t layer, A* packed) {
  pack_layer<Pack>(serial, p, partition.products, layer, packed + packed_before<A>(p.size, partition, layer));
}

// The weights of a layer as its products want them: packed ahead, or now, or in place.
template <class Pack, class A>
inline LayerWeights<A> layer_weights(const Parallel& parallel, const Inputs<A>& p, const Partition& partition,
                                     int64_t layer, const A* packed, A* room) {
  if (packed) return packed_weights(p, partition.products, layer, packed + packed_before<A>(p.size, partition, layer));
  if (!room) return weights_in_place(p, layer);
  pack_layer<Pack>(parallel, p, partition.products, layer, room);
  return packed_weights(p, partition.products, layer, static_cast<const A*>(room));
}

constexpr int64_t times_faster_rounded = 4;  // than products in full, about

// to = init + x W, or x W^T, as the weights are packed.
inline void multiply_rounded(const Parallel& parallel, bool back, int64_t rows, int64_t columns, int64_t depth,
                             const float* x, const bfloat16* w, Rows<const float> init, Rows<float> to,
                             const RoundedProducts& rounded) {
  round_to_bfloat16(rows, depth, x, rounded.left);
  in_parts(parallel, columns, 4 * bfloat16_columns, rows * columns * depth / times_faster_rounded,
           [=](int64_t n, int64_t end) {
             rounded.multiply({rows, end - n, depth, rounded.left, w + n * padded_depth(depth),
                               init.data ? init.data + n : nullptr, init.row, to.data + n, to.row, back});
           });
}

#include "core/cpu/layerwise_backward.inl"
#include "core/cpu/layerwise_forward.inl"
