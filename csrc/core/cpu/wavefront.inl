// The wavefront schedule's kernels. Compiled once per instruction set, inside its namespace.
//
// A vector V holds G layers of U units each; a layer has P such vectors, whose lanes beyond its units compute on zero
// weights. What they give is dropped: zero weights make NaN of infinite inputs and states. Pre-activations are in base
// two. "Step d" of a group: its layer at position j computes time d - j.

// The value of unit k of every layer, in all lanes of that layer.
template <int U, int k, class V>
RESBLOCK_INLINE V spread(V x) {
  return shuffled(x, x, [](int n) { return n / U * U + k; });
}

// Every layer's lanes get those of the layer before it; the first layer's get the last ones of `before`.
template <int U, class V>
RESBLOCK_INLINE V next_layer(V x, V before) {
  return shuffled(x, before, [](int n) { return n < U ? 2 * V::width - U + n : n - U; });
}

template <class V, int U, int P>
struct Wave {
  using A = typename V::Scalar;
  static constexpr int W = V::width, G = W / U, lanes_of_layer = U, units = U * P;
  static constexpr WaveShape shape = {W, U, P};
  static constexpr int columns = shape.columns(), start_row = shape.start_row();  // a step's sums: of a layer, a group
  static constexpr bool paired = shape.paired();

  struct alignas(64) Weights {
    A x[units][4][P][W], h[units][4][P][W], bias[4][P][W], peephole[3][P][W];
    A in_use[P][W];  // all bits in the lanes that hold units, none in the others
    A shortcut[W];   // 1 in the lanes of layers with a residual connection
  };

  // x and y of the step before; each layer's position in its groups.
  struct alignas(64) State {
    A c[P][W], h[P][W], x[P][W], y[P][W];
    A position[W];
  };

  // The pre-activations of a step as far as they are summed, and the step's input.
  struct Sums {
    V z[4][P], x[P];
  };

  static_assert(sizeof(Weights) == whole_lines<A>(shape.weights()) * sizeof(A));
  static_assert(sizeof(State) == whole_lines<A>(shape.state()) * sizeof(A));
  static_assert(sizeof(Sums) == shape.sums() * sizeof(A));

  // Groups that run together, and their rows. Step d of the first group begins its sums with row d of `start` (4 P W
  // values) and takes row d of `in` (`units`) for its input; the last layer writes row d - lag of `out`.
  struct Together {
    bool previous;  // which state the output gates see
    const Weights* weights;
    State* states;
    int64_t groups, lag, T;
    const A* start;
    int64_t start_step;  // from one row to the next; 0 repeats one
    const A* in;
    int64_t in_row;
    A* out;      // a layer on its own finds the output of two layers ago where it writes
    Sums* sums;  // of the last group's next step, carried on from where these groups stopped
    // Called after each step of a group, where c of every step is wanted; or null.
    void (*after_step)(const void* of, int64_t group, int64_t d) = nullptr;
    const void* of = nullptr;
  };

  struct Step {
    const Weights* weights;
    State* state;
    const A *start, *before;
    int64_t before_vector;  // from one of the P vectors before to the next
  };

  static RESBLOCK_INLINE Step step_of(const Together& t, int64_t group, int64_t d) {
    const Weights* w = t.weights + group;
    if (group) return {w, t.states + group, &w->bias[0][0][0], &t.states[group - 1].y[0][0], W};
    return {w, t.states, t.start + d * t.start_step, t.in + d * t.in_row + U - W, U};
  }

  static RESBLOCK_INLINE void begin(const Step& s, Sums& sums) {
    RESBLOCK_UNROLL
    for (int gate = 0; gate < 4; ++gate) RESBLOCK_UNROLL
    for (int p = 0; p < P; ++p) sums.z[gate][p] = V::load(s.start + (gate * P + p) * W);
    RESBLOCK_UNROLL
    for (int p = 0; p < P; ++p)
      sums.x[p] = next_layer<U>(V::load(s.state->y[p]), V::load(s.before + p * s.before_vector));
  }

  // Adds the products with U units of the input, or of the layer's own output.
  static RESBLOCK_INLINE void multiply(const A (*weights)[4][P][W], V units_of_layers, Sums& sums) {
    multiply(weights, units_of_layers, sums, typename CountTo<U>::All());
  }
  template <int... k>
  static RESBLOCK_INLINE void multiply(const A (*weights)[4][P][W], V units_of_layers, Sums& sums, Indices<k...>) {
    (multiply_unit(weights[k], spread<U, k>(units_of_layers), sums), ...);
  }
  static RESBLOCK_INLINE void multiply_unit(const A (&weights)[4][P][W], V value, Sums& sums) {
    RESBLOCK_UNROLL
    for (int gate = 0; gate < 4; ++gate) RESBLOCK_UNROLL
    for (int p = 0; p < P; ++p) sums.z[gate][p] += V::load(weights[gate][p]) * value;
  }
  static RESBLOCK_INLINE void multiply_x(const Step& s, int p, Sums& sums) {
    multiply(s.weights->x + p * U, sums.x[p], sums);
  }
  static RESBLOCK_INLINE void multiply_h(const Step& s, int p, Sums& sums) {
    multiply(s.weights->h + p * U, V::load(s.state->h[p]), sums);
  }

  // The cells of a group once their sums are complete. At the ends of a sequence (partial) not every layer runs: these
  // steps are few, and ask each time which state the output gates see.
  template <bool previous, bool partial>
  struct Cells {
    bool sees_previous;
    const Weights& w;
    State& s;
    const Sums& sums;
    const A* out_row;
    typename V::Mask runs;

    RESBLOCK_INLINE Cells(const Together& t, int64_t d, const Step& step, const Sums& sums)
        : sees_previous(partial ? t.previous : previous),
          w(*step.weights),
          s(*step.state),
          sums(sums),
          out_row(t.out + d * units) {
      const V position = V::load(s.position);
      if (partial) runs = (position < V(A(d + 1))) & (position > V(A(d - t.T)));
    }

    // y of two layers ago. In a group the layer before had it for its input, one step earlier.
    RESBLOCK_INLINE V two_before(int p) const {
      if constexpr (paired) return next_layer<U>(V::load(s.x[p]), V(A(0)));
      return V::load(out_row + p * W);
    }

    struct Half {
      Gates<V> gate;
      Peephole<V> peephole;
      V c_before, c;
    };

    RESBLOCK_INLINE Half first_half(int p) const {
      Half half;
      half.gate = {sums.z[0][p], sums.z[1][p], sums.z[2][p], sums.z[3][p]};
      half.peephole = {V::load(w.peephole[0][p]), V::load(w.peephole[1][p]), V::load(w.peephole[2][p])};
      half.c_before = V::load(s.c[p]);
      half.c = cell_state<Base::two>(half.gate, half.peephole, half.c_before);
      (partial ? select(runs, half.c, half.c_before) : half.c).store(s.c[p]);
      return half;
    }

    RESBLOCK_INLINE void second_half(int p, Half half) const {
      const V seen = sees_previous ? half.c_before : half.c;
      const V h = only(V::load(w.in_use[p]), cell_output<Base::two>(half.gate, half.peephole, seen, half.c));
      (partial ? select(runs, h, V::load(s.h[p])) : h).store(s.h[p]);
      (h + V::load(w.shortcut) * two_before(p)).store(s.y[p]);
      sums.x[p].store(s.x[p]);
    }
  };

  // Finishes a step, whose sums are complete, and adds up those of the next one in between.
  template <bool previous, bool partial>
  static RESBLOCK_INLINE void step(const Together& t, int64_t d, const Step& now, const Step& next, Sums& sums) {
    Sums ahead;
    const Cells<previous, partial> cells(t, d, now, sums);
    begin(next, ahead);
    RESBLOCK_UNROLL
    for (int p = 0; p < P; ++p) {
      const auto half = cells.first_half(p);
      multiply_x(next, p, ahead);
      cells.second_half(p, half);
      if constexpr (paired) multiply_h(next, p, ahead);
    }
    if constexpr (!paired) {
      RESBLOCK_UNROLL
      for (int p = 0; p < P; ++p) multiply_h(next, p, ahead);
    }
    sums = ahead;
  }

  static RESBLOCK_INLINE void complete_sums(const Step& s, Sums& sums) {
    begin(s, sums);
    RESBLOCK_UNROLL
    for (int p = 0; p < P; ++p) {
      multiply_x(s, p, sums);
      multiply_h(s, p, sums);
    }
  }

  template <bool partial>
  static RESBLOCK_INLINE void write_row(const Together& t, int64_t d) {
    if (partial && (d < t.lag || d >= t.T + t.lag)) return;
    const State& last = t.states[t.groups - 1];
    const int64_t lane = (t.lag - int64_t(last.position[0])) * U;
    for (int p = 0; p < P; ++p) memcpy(t.out + (d - t.lag) * units + p * U, last.y[p] + lane, U * sizeof(A));
  }

  // Steps [d0, d1), the last group first: the others' outputs of the step before are still there.
  template <bool previous, bool partial>
  __attribute__((noinline)) static void advance_together(const Together& t, int64_t d0, int64_t d1) {
    const int64_t last = t.groups - 1;
    Sums sums = *t.sums;
    for (int64_t d = d0; d < d1; ++d) {
      for (int64_t group = last; group > 0; --group) {
        step<previous, partial>(t, d, step_of(t, group, d), step_of(t, group - 1, d), sums);
        if (group == last) write_row<partial>(t, d);
        if (t.after_step) t.after_step(t.of, group, d);
      }
      step<previous, partial>(t, d, step_of(t, 0, d), step_of(t, last, d + 1), sums);
      if (t.after_step) t.after_step(t.of, 0, d);
    }
    *t.sums = sums;
  }

  // A single group waits for its own outputs, unless it is one layer: then its inputs are known ahead.
  template <bool previous, bool partial>
  __attribute__((noinline)) static void advance_alone(const Together& t, int64_t d0, int64_t d1) {
    Sums sums;
    complete_sums(step_of(t, 0, d0), sums);
    for (int64_t d = d0; d < d1; ++d) {
      const Step now = step_of(t, 0, d), next = step_of(t, 0, d + 1 < d1 ? d + 1 : d);
      if constexpr (paired) {
        const Cells<previous, partial> cells(t, d, now, sums);
        RESBLOCK_UNROLL
        for (int p = 0; p < P; ++p) cells.second_half(p, cells.first_half(p));
        complete_sums(next, sums);
      } else {
        step<previous, partial>(t, d, now, next, sums);
      }
      write_row<partial>(t, d);
      if (t.after_step) t.after_step(t.of, 0, d);
    }
  }

  // The products with the inputs of a layer, a block of steps at a time, so that a weight is loaded once for several of
  // them. Every step adds up one vector of the sums of the next block.
  static constexpr bool looks_ahead = shape.template looks_ahead<A>();
  static constexpr int block = shape.block_ahead();

  // Steps [from, from + block) of a layer; `last` is the last row of its input.
  struct Block {
    const Weights* weights;
    const A* in;
    int64_t from, last;
    A* start;  // (block, 4 P W)

    // Vector n of one share, of P, of the rows.
    RESBLOCK_INLINE void multiply(int64_t n, int share) const {
      constexpr int rows = block / P;
      const A* x[rows];
      V sum[rows];
      RESBLOCK_UNROLL
      for (int r = 0; r < rows; ++r) {
        const int64_t row = from + share * rows + r;
        x[r] = in + (row < last ? row : last) * units;
        sum[r] = V::load(&weights->bias[0][0][0] + n * W);
      }
      const A* column = &weights->x[0][0][0][0] + n * W;
      for (int k = 0; k < units; ++k, column += start_row) {
        const V weight = V::load(column);
        RESBLOCK_UNROLL
        for (int r = 0; r < rows; ++r) sum[r] += weight * V(x[r][k]);
      }
      RESBLOCK_UNROLL
      for (int r = 0; r < rows; ++r) sum[r].store(start + (share * rows + r) * start_row + n * W);
    }

    void multiply_all() const {
      for (int n = 0; n < block; ++n)
        for (int share = 0; share < P; ++share) multiply(n, share);
    }
  };

  // Steps [d0, d1) of a layer on its own, whose sums begin with the products with its inputs; meanwhile, those of the
  // block ahead, if there is one.
  template <bool previous>
  __attribute__((noinline)) static void advance_begun(const Together& t, const Block* ahead, int64_t d0, int64_t d1) {
    for (int64_t d = d0; d < d1; ++d) {
      const Step now = step_of(t, 0, d);
      Sums sums;
      begin(now, sums);
      for (int p = 0; p < P; ++p) multiply_h(now, p, sums);
      const Cells<previous, false> cells(t, d, now, sums);
      RESBLOCK_UNROLL
      for (int p = 0; p < P; ++p) {
        const auto half = cells.first_half(p);
        if (ahead) ahead->multiply(d - d0, p);
        cells.second_half(p, half);
      }
      write_row<false>(t, d);
      if (t.after_step) t.after_step(t.of, 0, d);
    }
  }

  // The same from the layer's inputs, with `room` for the sums of two blocks.
  template <bool previous>
  static void advance_looking_ahead(Together t, A* room, int64_t d0, int64_t d1) {
    A* starts[] = {room, room + block * start_row};  // of this block and the next
    t.start_step = start_row;
    Block{t.weights, t.in, d0, d1 - 1, starts[0]}.multiply_all();
    for (int64_t from = d0; from < d1; from += block) {
      const Block ahead = {t.weights, t.in, from + block, d1 - 1, starts[1]};
      t.start = starts[0] - from * start_row;
      if (ahead.from < d1)
        advance_begun<previous>(t, &ahead, from, ahead.from);
      else
        advance_begun<previous>(t, nullptr, from, d1);
      starts[1] = starts[0];
      starts[0] = ahead.start;
    }
  }

  template <bool previous, bool partial>
  static void advance(const Together& t, int64_t d0, int64_t d1) {
    if constexpr (paired)
      if (t.groups > 1) return advance_together<previous, partial>(t, d0, d1);
    advance_alone<previous, partial>(t, d0, d1);
  }

  // Steps before the last layer of the groups has begun or after the first has ended are partial.
  template <bool previous>
  static void advance(const Together& t, int64_t d0, int64_t d1) {
    if (paired && d0 == 0) complete_sums(step_of(t, t.groups - 1, 0), *t.sums);
    const int64_t begun = t.lag < d1 ? t.lag : d1, ended = t.T < d1 ? t.T : d1;
    const int64_t from = d0 > begun ? d0 : begun, to = from > ended ? from : ended;
    if (d0 < from) advance<false, true>(t, d0, from);
    if (from < to) advance<previous, false>(t, from, to);
    if (to < d1) advance<false, true>(t, to, d1);
  }
};

#include "core/cpu/wavefront_forward.inl"
