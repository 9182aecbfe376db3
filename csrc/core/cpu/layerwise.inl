// The layerwise schedule: what its forward and its backward pass share. Compiled once per instruction set, inside its
// namespace.

// The rows (t, b) of a chunk and block within an array of (time, sequence, width).
template <class A>
struct Plane {
  A* data;
  int64_t step, width;
  RESBLOCK_INLINE A* row(int64_t t, int64_t b) const { return data + t * step + b * width; }
};

// The part of the problem at hand: sequences [b0, b0 + sequences), steps [t0, t0 + steps).
struct Window {
  int64_t b0, sequences, t0, steps;
  int64_t rows() const { return sequences * steps; }
};

template <class A>
RESBLOCK_INLINE Plane<A> at(A* whole, const Sizes& s, const Window& w, int64_t width) {
  return {whole + (w.t0 * s.B + w.b0) * width, s.B * width, width};
}

template <class A>
RESBLOCK_INLINE Plane<A> dense(A* scratch, const Window& w, int64_t width) {
  return {scratch, w.sequences * width, width};
}

template <class A>
RESBLOCK_INLINE bool valid(const Inputs<A>& p, const Window& w, int64_t t, int64_t b) {
  return !p.lengths || p.options.first_step + w.t0 + t < p.lengths[w.b0 + b];
}

// (L, B, H) <-> (L, sequences, H): the states of the block's sequences.
template <class A>
inline void load_states(const A* from, const Sizes& s, const Window& w, A* to) {
  for (int64_t l = 0; l < s.L; ++l)
    load_state(state_at(from, (l * s.B + w.b0) * s.H), w.sequences * s.H, to + l * w.sequences * s.H);
}

template <class A>
inline void store_states(const A* from, const Sizes& s, const Window& w, A* to) {
  for (int64_t l = 0; l < s.L; ++l) copy(from + l * w.sequences * s.H, w.sequences * s.H, to + (l * s.B + w.b0) * s.H);
}

// Calls body(first, count) for neighbouring units of the cells of a step, side by side if there are so many. Sums over
// sequences stay within a unit.
template <class A, class Body>
inline void in_units(const Parallel& parallel, const Window& w, int64_t H, const Body& body) {
  const int64_t multiply_adds_worth = 128;  // what a unit takes
  in_parts(parallel, H, vector_lanes<A>, w.sequences * H * multiply_adds_worth,
           [&](int64_t first, int64_t end) { body(first, end - first); });
}

template <class A>
inline void zero_gates(A* gates, int64_t H, int64_t count) {
  for (int gate = 0; gate < 4; ++gate) zero(gates + gate * H, count);
}

// Multiplies the rows of an input of `layer`, or of its gradient, by the dropout mask.
template <class A>
inline void drop(const Inputs<A>& p, const Window& w, int64_t layer, A* rows) {
  if (p.options.dropout <= 0 || layer == 0) return;
  const int64_t H = p.size.H;
  const Dropout dropout(p.options.seed, p.options.dropout);
  for (int64_t t = 0; t < w.steps; ++t)
    for (int64_t b = 0; b < w.sequences; ++b, rows += H)
      for (int64_t u = 0; u < H; u += 4) {
        A factor[4];
        dropout.factors(layer, p.options.first_step + w.t0 + t, w.b0 + b, u / 4, factor);
        for (int64_t k = u; k < u + 4 && k < H; ++k) rows[k] *= factor[k - u];
      }
}

// The inputs of a layer as dense rows: the problem's own for the first, else y of the layer before, dropped out.
// Rows past a sequence's length are zero, whatever the caller's padding holds.
template <class A, class Y>
inline void gather_inputs(const Inputs<A>& p, const Window& w, int64_t layer, Plane<Y> y_before, A* x) {
  const int64_t width = layer ? p.size.H : p.size.I;
  const Plane<const A> input = at(p.input, p.size, w, p.size.I);
  for (int64_t t = 0; t < w.steps; ++t)
    for (int64_t b = 0; b < w.sequences; ++b) {
      A* row = x + (t * w.sequences + b) * width;
      if (layer)
        copy(y_before.row(t, b), width, row);
      else if (valid(p, w, t, b))
        copy(input.row(t, b), width, row);
      else
        zero(row, width);
    }
  drop(p, w, layer, x);
}

// The inputs of a layer as dense rows: where they stand if they are, else gathered.
template <class A, class Y>
inline const A* dense_inputs(const Inputs<A>& p, const Window& w, int64_t layer, Plane<Y> y_before, A* x) {
  const bool drops = layer && p.options.dropout > 0;
  if (layer && !drops && y_before.step == w.sequences * y_before.width) return y_before.data;
  if (!layer && !p.lengths && w.sequences == p.size.B) return at(p.input, p.size, w, p.size.I).data;
  gather_inputs(p, w, layer, y_before, x);
  return x;
}

template <class A>
struct LayerWeights {
  Right<A> ih, hh;  // packed, or as the problem has them
  const A *bias, *peephole;
};

template <class A>
RESBLOCK_INLINE LayerWeights<A> weights_in_place(const Inputs<A>& p, int64_t layer) {
  const LayerSource<A> w = layer_source(p, layer);
  return {{w.ih, packed_layer(p.size, layer).inputs, false}, {w.hh, p.size.H, false}, w.bias, w.peephole};
}

// `packed` begins with the layer's weights.
template <class A>
RESBLOCK_INLINE LayerWeights<A> packed_weights(const Sizes& s, int64_t layer, const A* packed) {
  const PackedLayer o = packed_layer(s, layer);
  return {{packed, 0, true}, {packed + o.hh - o.ih, 0, true}, packed + o.bias - o.ih, packed + o.peephole - o.ih};
}

// For z = x W^T: the products run over the inputs, the columns are the gates.
struct ForGates {
  template <class A>
  void operator()(const Parallel& parallel, int64_t gates, int64_t inputs, const A* w, A* packed) const {
    pack_right_transposed(parallel, inputs, gates, w, packed);
  }
};

// For dx = dz W: the products run over the gates, the columns are the inputs.
struct ForInputs {
  template <class A>
  void operator()(const Parallel& parallel, int64_t gates, int64_t inputs, const A* w, A* packed) const {
    pack_right(parallel, gates, inputs, w, packed);
  }
};

template <class Pack, class A>
void pack_layer(const Parallel& parallel, const Inputs<A>& p, int64_t layer, A* packed) {
  const int64_t H = p.size.H;
  const PackedLayer o = packed_layer(p.size, layer);
  const LayerSource<A> w = layer_source(p, layer);
  Pack()(parallel, 4 * H, o.inputs, w.ih, packed);
  Pack()(parallel, 4 * H, H, w.hh, packed + o.hh - o.ih);
  load_small(p, layer, packed + o.bias - o.ih, packed + o.peephole - o.ih);
}

template <class A>
void pack_forward(const Inputs<A>& p, int64_t layer, A* packed) {
  pack_layer<ForGates>(serial, p, layer, packed + packed_layer(p.size, layer).ih);
}

template <class A>
void pack_backward(const Inputs<A>& p, int64_t layer, A* packed) {
  pack_layer<ForInputs>(serial, p, layer, packed + packed_layer(p.size, layer).ih);
}

// The weights of a layer as its products want them: packed ahead, or now, or in place.
template <class Pack, class A>
inline LayerWeights<A> layer_weights(const Parallel& parallel, const Inputs<A>& p, int64_t layer, const A* packed,
                                     A* room) {
  if (packed) return packed_weights(p.size, layer, packed + packed_layer(p.size, layer).ih);
  if (!room) return weights_in_place(p, layer);
  pack_layer<Pack>(parallel, p, layer, room);
  return packed_weights(p.size, layer, static_cast<const A*>(room));
}

inline Window block_window(const Sizes& s, const Partition& partition, int64_t block) {
  const int64_t b0 = block * partition.sequences, rest = s.B - b0;
  return {b0, rest < partition.sequences ? rest : partition.sequences, 0, 0};
}

#include "core/cpu/layerwise_backward.inl"
#include "core/cpu/layerwise_forward.inl"
