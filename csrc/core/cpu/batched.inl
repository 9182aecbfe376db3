// The batched schedule: what its forward and its backward pass share. Compiled once per instruction set, inside its
// namespace. V is the vector whose lanes are the sequences of a tile; lanes beyond the last sequence compute on zeros
// and are never stored.

#include "core/cpu/batched_lanes.inl"
#include "core/cpu/dropout_lanes.inl"

// The part of the problem at hand: sequences [b0, b0 + used) in the lanes, steps [t0, t0 + steps) of the tile's
// `length`.
struct TileWindow {
  int64_t b0, used, t0, steps, length, rows_before;
  const int64_t* order;  // which sequences they are, or null: neighbours from b0 on
};

// The layers [first, end) of a segment, of `segments` in all, counted from the first.
struct Layers {
  int64_t first, end;
};

inline Layers layers_of(const Sizes& s, int64_t segment, int64_t segments) {
  return {segment * s.L / segments, (segment + 1) * s.L / segments};
}

template <class A>
inline TileWindow tile_window(const Inputs<A>& p, const Partition& partition, const TilePart& part, int64_t chunk) {
  const int64_t b0 = part.tile * partition.sequences, sequences = p.size.B - b0, t0 = chunk * partition.steps;
  const int64_t length = running_steps(p, b0), steps = length - t0;
  return {b0,
          sequences < partition.sequences ? sequences : partition.sequences,
          t0,
          steps < partition.steps ? steps : partition.steps,
          length,
          part.rows_before,
          p.order ? p.order + b0 : nullptr};
}

// The rows of a tile in an array (B, width).
template <class A>
RESBLOCK_INLINE LaneRows<A> state_rows(A* states, const TileWindow& w, int64_t width) {
  return {w.order ? states : states + w.b0 * width, w.order};
}

// In inputs or outputs, at a step, of `count` lanes; pieces have theirs anywhere, which goes to `rows`.
template <class A, class S>
RESBLOCK_INLINE LaneRows<A> step_rows(A* array, const Inputs<S>& p, const TileWindow& w, int64_t t, int64_t width,
                                      int64_t count, int64_t* rows) {
  if (rows_are_neighbours(p)) return {array + row_at(p, w.t0 + t, w.b0) * width, nullptr};
  if (!p.pieces) return {array + (w.t0 + t) * p.size.B * width, w.order};
  for (int64_t n = 0; n < count; ++n) rows[n] = row_at(p, w.t0 + t, w.b0 + n);
  return {array, rows};
}

// The number of units that a layer's loops are unrolled for, where enough lanes make up for the code.
template <class V>
constexpr int unrolled_units = V::width >= 8 ? 8 : 0;

// Calls body(units) with a constant: that number where the layer's inputs and units are as many, or 0.
template <class V, class Body>
RESBLOCK_INLINE auto with_units(int64_t layer, int64_t H, const Body& body) {
  return layer && H == unrolled_units<V> ? body(Constant<unrolled_units<V>>()) : body(Constant<0>());
}

// The saved activations of a tile: (L, length, 6H, sequences), the rows of a step being 4H gates, H of c, H of y.
// Kernels work on rows of all lanes; those of a tile with idle lanes are copied. Idle lanes of a copy are zero.
template <class V>
struct SavedTile {
  using A = typename V::Scalar;
  A* data;
  int64_t T, rows, used;

  template <class B>
  SavedTile(B* saved, const Sizes& s, const TileWindow& w)
      : data(const_cast<A*>(saved) + w.rows_before * s.L * saved_of_cell * s.H),
        T(w.length),
        rows(saved_of_cell * s.H),
        used(w.used) {}

  bool all_lanes() const { return used == V::width; }
  A* at(int64_t layer, int64_t t) const { return data + (layer * T + t) * rows * used; }
  // Where the rows of these steps can be written, before they are stored; and where they can be read.
  A* begin(int64_t layer, int64_t t, A* copy) const { return all_lanes() ? at(layer, t) : copy; }
  void store(int64_t layer, int64_t t, int64_t steps, const A* copy) const {
    for (int64_t row = 0; !all_lanes() && row < steps * rows; ++row)
      memcpy(at(layer, t) + row * used, copy + row * V::width, size_t(used) * sizeof(A));
  }
  const A* load(int64_t layer, int64_t t, int64_t steps, A* copy) const {
    load_rows(layer, t, 0, all_lanes() ? 0 : steps * rows, copy);
    return begin(layer, t, copy);
  }
  // `count` rows from `row` of step t on.
  void load_rows(int64_t layer, int64_t t, int64_t row, int64_t count, A* to) const {
    for (int64_t k = 0; k < count; ++k)
      memcpy(to + k * V::width, at(layer, t) + (row + k) * used, size_t(used) * sizeof(A));
  }
};

// Which lanes hold a sequence that has not ended at step t of the window.
template <class V>
struct Running {
  using A = typename V::Scalar;
  V ends;
  int64_t used, shortest;

  template <class A>
  Running(const Inputs<A>& p, const TileWindow& w) : used(w.used), shortest(w.steps) {
    A steps[V::width] = {};
    for (int64_t n = 0; n < w.used; ++n) {
      const int64_t rest = running_steps(p, w.b0 + n) - w.t0, here = rest < w.steps ? rest : w.steps;
      steps[n] = A(here);
      if (here < shortest) shortest = here;
    }
    ends = V::load(steps);
  }
  RESBLOCK_INLINE bool all(int64_t t) const { return t < shortest; }
  // How many lanes: the first ones.
  RESBLOCK_INLINE int64_t lanes(int64_t t) const {
    int64_t count = used;
    while (!all(t) && count > 0 && !(A(t) < ends.v[count - 1])) --count;
    return count;
  }
  RESBLOCK_INLINE V select(int64_t t, V running, V ended) const {
    return all(t) ? running : V::of(V(A(t)) < ends ? running.v : ended.v);
  }
  RESBLOCK_INLINE Two<V> select(int64_t t, Two<V> running, Two<V> ended) const {
    return {select(t, running.a, ended.a), select(t, running.b, ended.b)};
  }
};

// Inputs, or gradients of outputs, to (steps, width, lanes). Steps past a sequence's length and idle lanes become zero.
template <class V, class A>
inline void gather_lanes(const A* from, const Inputs<A>& p, const TileWindow& w, const Running<V>& running,
                         int64_t width, A* to) {
  int64_t rows[V::width];
  for (int64_t t = 0; t < w.steps; ++t) {
    const int64_t lanes = running.lanes(t);
    load_lanes<V>(step_rows(from, p, w, t, width, lanes, rows), lanes, width, to + t * width * V::width);
  }
}

// Only the steps that sequences run.
template <class V, class A>
inline void scatter_lanes(const A* from, const Inputs<A>& p, const TileWindow& w, const Running<V>& running,
                          int64_t width, A* to) {
  int64_t rows[V::width];
  for (int64_t t = 0; t < w.steps; ++t) {
    const int64_t lanes = running.lanes(t);
    store_lanes<V>(from + t * width * V::width, lanes, width, step_rows(to, p, w, t, width, lanes, rows), width);
  }
}

// The states of one layer, (L, B, H) to (H, lanes), with which the steps of sequences begin or end.
template <class V, class A>
inline void load_lane_state(const A* from, const Inputs<A>& p, const TileWindow& w, int64_t layer, A* to, End end) {
  const Sizes& s = p.size;
  if (from && !p.pieces) return load_lanes<V>(state_rows(from + layer * s.B * s.H, w, s.H), w.used, s.H, to);
  zero(to, s.H * V::width);
  for (int64_t n = 0; from && n < w.used; ++n)
    if (const A* state = state_of(p, from, layer, w.b0 + n, end))
      for (int64_t u = 0; u < s.H; ++u) to[u * V::width + n] = state[u];
}

// (L, B, H) <-> (L, H, lanes).
template <class V, class A>
inline void load_lane_states(const A* from, const Inputs<A>& p, const TileWindow& w, Layers layers, A* to, End end) {
  for (int64_t l = layers.first; l < layers.end; ++l)
    load_lane_state<V>(from, p, w, l, to + l * p.size.H * V::width, end);
}

// Whether the states of this tile go past the caches: those of many sequences would drive everything else from them.
template <class V, class A>
inline bool goes_past_caches(const Sizes& s, const TileWindow& w, const A* to) {
  constexpr int64_t many_bytes = int64_t(8) << 20;
  const auto is_aligned = [](auto bytes) { return bytes % sizeof(V) == 0; };
  return s.H == transposed && w.used == V::width && !w.order && is_aligned(uintptr_t(to)) &&
         is_aligned(size_t(s.B * s.H) * sizeof(A)) && s.L * s.B * s.H * int64_t(sizeof(A)) >= many_bytes;
}

// Of pieces.
template <class V, class A>
inline void store_piece_states(const A* from, const Inputs<A>& p, const TileWindow& w, Layers layers, A* to, End end) {
  for (int64_t l = layers.first; l < layers.end; ++l)
    for (int64_t n = 0; n < w.used; ++n)
      if (A* state = state_of(p, to, l, w.b0 + n, end))
        for (int64_t u = 0; u < p.size.H; ++u) state[u] = from[(l * p.size.H + u) * V::width + n];
}

template <class V, class A>
inline void store_lane_states(const A* from, const Inputs<A>& p, const TileWindow& w, Layers layers, A* to, End end) {
  if (p.pieces) return store_piece_states<V>(from, p, w, layers, to, end);
  const Sizes& s = p.size;
  const bool past_caches = goes_past_caches<V>(s, w, to);
  for (int64_t l = layers.first; l < layers.end; ++l) {
    const auto* state = from + l * s.H * V::width;
    const LaneRows<A> rows = state_rows(to + l * s.B * s.H, w, s.H);
    if (past_caches)
      store_lanes_past_caches<V>(state, rows.first);
    else
      store_lanes<V>(state, w.used, s.H, rows, s.H);
  }
  if (past_caches) finish_non_temporal_stores();
}

// to = from times the dropout mask of the inputs of `layer`; both (steps, H, lanes).
template <class V, class A>
inline void drop_lanes(const Inputs<A>& p, const TileWindow& w, int64_t layer, const A* from, A* to) {
  constexpr int W = V::width;
  const int64_t H = p.size.H;
  const Dropout dropout(p.options.seed, p.options.dropout);
  const LaneNumbers<V> sequences([&](int64_t n) { return n < w.used ? sequence_at(p, w.b0 + n) : 0; });
  const LaneNumbers<V> begins([&](int64_t n) { return n < w.used ? time_at(p, w.t0, w.b0 + n) : 0; });
  for (int64_t t = 0; t < w.steps; ++t)
    for (int64_t u = 0; u < H; u += 4) {
      V factor[4];
      dropout_factors(dropout, layer, begins, t, sequences, u / 4, factor);
      for (int64_t k = 0; k < 4 && u + k < H; ++k, from += W, to += W) (V::load(from) * factor[k]).store(to);
    }
}

// Columns (units, inputs) are taken in groups of G, then ever smaller ones. Weights of the group that begins at column
// n begin at n * (values per column).
template <int G, class Visit>
inline void column_groups(int64_t n, int64_t N, const Visit& visit) {
  for (; n + G <= N; n += G) visit.template operator()<G>(n);
  if constexpr (G > 1) column_groups<G / 2>(n, N, visit);
}

#include "core/cpu/batched_gradients.inl"

#include "core/cpu/batched_backward.inl"
#include "core/cpu/batched_forward.inl"
