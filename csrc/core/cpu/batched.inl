// The batched schedule: what its forward and its backward pass share. Compiled once per instruction set, inside its
// namespace. V is the vector whose lanes are the sequences of a tile; lanes beyond the last sequence compute on zeros
// and are never stored.

// The part of the problem at hand: sequences [b0, b0 + used) in the lanes, steps [t0, t0 + steps).
struct TileWindow {
  int64_t b0, used, t0, steps;
};

inline TileWindow tile_window(const Sizes& s, const Tiling& tiling, int64_t tile) {
  const int64_t b0 = tile * tiling.lanes, rest = s.B - b0;
  return {b0, rest < tiling.lanes ? rest : tiling.lanes, 0, 0};
}

// Rows of lanes within what is kept for the backward pass: a tile's rows hold its own sequences only.
template <class A>
struct KeptRows {
  A* data;
  int64_t used;

  template <class V>
  RESBLOCK_INLINE void store(int64_t row, V v) const {
    if (used == V::width) return v.store(data + row * V::width);
    store_part(row, v);
  }
  template <class V>
  RESBLOCK_INLINE V load(int64_t row) const {
    return used == V::width ? V::load(data + row * V::width) : load_part<V>(row);
  }

 private:
  template <class V>
  __attribute__((noinline)) void store_part(int64_t row, V v) const {
    typename V::Scalar lanes[V::width];
    v.store(lanes);
    memcpy(data + row * used, lanes, size_t(used) * sizeof(lanes[0]));
  }
  template <class V>
  __attribute__((noinline)) V load_part(int64_t row) const {
    typename V::Scalar lanes[V::width] = {};
    memcpy(lanes, data + row * used, size_t(used) * sizeof(lanes[0]));
    return V::load(lanes);
  }
};

// Per tile, layer and step: 4H rows of gates, H of c, H of y.
template <class A>
RESBLOCK_INLINE KeptRows<A> kept_rows(A* saved, const Sizes& s, const TileWindow& w, int64_t layer, int64_t t) {
  const int64_t rows = 6 * s.H;
  return {saved + (w.b0 * s.L * s.T + (layer * s.T + t) * w.used) * rows, w.used};
}

// Which lanes hold a sequence that has not ended at step t of the window.
template <class V>
struct Running {
  using A = typename V::Scalar;
  V ends;
  int64_t shortest;

  template <class S>
  Running(const Inputs<S>& p, const TileWindow& w) : shortest(w.steps) {
    A steps[V::width] = {};
    for (int64_t n = 0; n < w.used; ++n) {
      const int64_t rest = running_steps(p, w.b0 + n) - w.t0, here = rest < w.steps ? rest : w.steps;
      steps[n] = A(here);
      if (here < shortest) shortest = here;
    }
    ends = V::load(steps);
  }
  RESBLOCK_INLINE bool all(int64_t t) const { return t < shortest; }
  RESBLOCK_INLINE bool lane(int64_t n, int64_t t) const { return A(t) < ends.v[n]; }
  RESBLOCK_INLINE V select(int64_t t, V running, V ended) const {
    return all(t) ? running : V::of(V(A(t)) < ends ? running.v : ended.v);
  }
};

// (T, B, width) to (steps, width, lanes). Steps past a sequence's length and idle lanes become zero.
template <class V, class S>
inline void gather_lanes(const S* from, const Inputs<S>& p, const TileWindow& w, const Running<V>& running,
                         int64_t width, Arithmetic<S>* to) {
  zero(to, w.steps * width * V::width);
  for (int64_t t = 0; t < w.steps; ++t)
    for (int64_t n = 0; n < w.used; ++n) {
      if (!running.lane(n, t)) continue;
      const S* row = from + ((w.t0 + t) * p.size.B + w.b0 + n) * width;
      for (int64_t k = 0; k < width; ++k) to[(t * width + k) * V::width + n] = load(row[k]);
    }
}

template <class V, class S>
inline void scatter_lanes(const Arithmetic<S>* from, const Sizes& s, const TileWindow& w, int64_t width, S* to) {
  for (int64_t t = 0; t < w.steps; ++t)
    for (int64_t n = 0; n < w.used; ++n) {
      S* row = to + ((w.t0 + t) * s.B + w.b0 + n) * width;
      for (int64_t k = 0; k < width; ++k) store(row + k, from[(t * width + k) * V::width + n]);
    }
}

// (L, B, H) <-> (L, H, lanes).
template <class V, class S>
inline void load_lane_states(const S* from, const Sizes& s, const TileWindow& w, Arithmetic<S>* to) {
  zero(to, s.L * s.H * V::width);
  for (int64_t l = 0; l < s.L; ++l)
    for (int64_t n = 0; n < w.used; ++n)
      for (int64_t u = 0; u < s.H; ++u) to[(l * s.H + u) * V::width + n] = load(from[(l * s.B + w.b0 + n) * s.H + u]);
}

template <class V, class S>
inline void store_lane_states(const Arithmetic<S>* from, const Sizes& s, const TileWindow& w, S* to) {
  for (int64_t l = 0; l < s.L; ++l)
    for (int64_t n = 0; n < w.used; ++n)
      for (int64_t u = 0; u < s.H; ++u) store(to + (l * s.B + w.b0 + n) * s.H + u, from[(l * s.H + u) * V::width + n]);
}

// to = from times the dropout mask of the inputs of `layer`; both (steps, H, lanes).
template <class V, class S>
inline void drop_lanes(const Inputs<S>& p, const TileWindow& w, int64_t layer, const Arithmetic<S>* from,
                       Arithmetic<S>* to) {
  using A = Arithmetic<S>;
  const int64_t H = p.size.H;
  const Dropout dropout(p.options.seed, p.options.dropout);
  for (int64_t t = 0; t < w.steps; ++t)
    for (int64_t u = 0; u < H; u += 4) {
      A factor[V::width][4];
      for (int64_t n = 0; n < V::width; ++n)
        dropout.factors(layer, p.options.first_step + w.t0 + t, w.b0 + n, u / 4, factor[n]);
      for (int64_t k = u; k < u + 4 && k < H; ++k)
        for (int64_t n = 0; n < V::width; ++n) {
          const int64_t at = (t * H + k) * V::width + n;
          to[at] = from[at] * factor[n][k - u];
        }
    }
}

// Columns (units, inputs) are taken in groups of G, then ever smaller ones. Weights of the group that begins at column
// n begin at n * (values per column).
template <int G, class Visit>
inline void column_groups(int64_t n, int64_t N, const Visit& visit) {
  for (; n + G <= N; n += G) visit.template operator()<G>(n);
  if constexpr (G > 1) column_groups<G / 2>(n, N, visit);
}

#include "core/cpu/batched_backward.inl"
#include "core/cpu/batched_forward.inl"
