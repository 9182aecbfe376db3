// The forward pass of one segment of layers over one chunk of time.

// Groups of several layers run in pairs, an odd one makes the last pair three; single layers run alone. The second of a
// pair lags one step more, because its sums begin while the first computes.
template <class Wave>
struct Pairs {
  static constexpr int64_t members = Wave::paired ? 2 : 1;
  int64_t groups, count;

  explicit Pairs(const Sizes& s) : groups((s.L + Wave::G - 1) / Wave::G) {
    count = groups < members ? 1 : groups / members;
  }
  int64_t first_group(int64_t pair) const { return members * pair; }
  int64_t groups_of(int64_t pair) const { return pair + 1 < count ? members : groups - first_group(pair); }
  int64_t position(int64_t pair, int64_t group) const {
    return group * Wave::G + (groups_of(pair) == 2 && group == 1 ? 1 : 0);
  }
  // Steps by which the last layer of a pair lags behind the first.
  int64_t lag(int64_t pair, const Sizes& s) const {
    const int64_t last = groups_of(pair) - 1, next = (first_group(pair) + last + 1) * Wave::G;
    return position(pair, last) + Wave::G - 1 - (next > s.L ? next - s.L : 0);
  }
  int64_t lag_before(int64_t pair) const { return pair * (Wave::paired ? 2 * Wave::G : Wave::G - 1); }
};

template <class Wave, class A = typename Wave::A>
struct WaveWeights {
  typename Wave::Weights* groups;
  A *first, *first_bias;  // of the first layer's inputs: packed (I, 4 P U), and (4 P U) of bias

  WaveWeights(const Sizes& s, Arena<A>& arena) {
    groups = arena.template take_all<typename Wave::Weights>(Pairs<Wave>(s).groups);
    first = arena.take(s.I * Wave::columns);
    first_bias = arena.take(Wave::columns);
  }
};

template <class Wave, class A = typename Wave::A>
int64_t wave_weights_size(const Sizes& s) {
  Arena<A> arena{nullptr};
  WaveWeights<Wave>(s, arena);
  return arena.used;
}

template <class Wave>
int64_t wave_parts(const Sizes& s) {
  return Pairs<Wave>(s).count;
}

// Unit u of a layer stands in vector u / U, lane u % U of the layer's.
template <class Wave, class S>
void pack_wave_layer(const Inputs<S>& p, int64_t layer, typename Wave::Weights& to) {
  using A = Arithmetic<S>;
  constexpr int U = Wave::lanes_of_layer;
  const int64_t H = p.size.H, lane0 = layer % Wave::G * U;
  const LayerSource<S> w = layer_source(p, layer);
  for (int64_t u = 0; u < H; ++u) {
    const int64_t v = u / U, lane = lane0 + u % U;
    for (int64_t gate = 0; gate < 4; ++gate) {
      const int64_t row = gate * H + u;
      const A scale = A(base_two_scale(gate));
      for (int64_t k = 0; k < H; ++k) {
        if (layer) to.x[k][gate][v][lane] = load(w.ih[row * H + k]) * scale;
        to.h[k][gate][v][lane] = load(w.hh[row * H + k]) * scale;
      }
      to.bias[gate][v][lane] = load(w.bias[row]) * scale;
    }
    for (int64_t row = 0; row < 3; ++row) to.peephole[row][v][lane] = load(w.peephole[row * H + u]) * A(sigmoid_scale);
  }
  for (int64_t u = 0; u < U; ++u) to.shortcut[lane0 + u] = has_shortcut(p.options, layer);
}

template <class Wave, class S>
void pack_wave(const Inputs<S>& p, Arithmetic<S>* packed) {
  using A = Arithmetic<S>;
  constexpr int64_t units = Wave::units, columns = Wave::columns;
  const int64_t H = p.size.H, I = p.size.I;
  zero(packed, wave_weights_size<Wave>(p.size));
  Arena<A> arena{packed};
  const WaveWeights<Wave> to(p.size, arena);
  for (int64_t layer = 0; layer < p.size.L; ++layer) pack_wave_layer<Wave>(p, layer, to.groups[layer / Wave::G]);
  for (int64_t gate = 0; gate < 4; ++gate)
    for (int64_t u = 0; u < H; ++u) {
      const int64_t row = gate * H + u, column = gate * units + u;
      const A scale = A(base_two_scale(gate));
      to.first_bias[column] = load(p.weights.bias[row]) * scale;
      for (int64_t k = 0; k < I; ++k) to.first[k * columns + column] = load(p.weights.ih_first[row * I + k]) * scale;
    }
}

// Of one sequence. Rows of a stream are outputs between pairs. A pair of groups writes where it read, rows that lie
// behind; single layers write odd layers' outputs to one stream and even layers' to the other, where they find that of
// two layers ago.
template <class Wave, class A = typename Wave::A>
struct WaveScratch {
  typename Wave::State* states;
  typename Wave::Sums* sums;  // of every pair
  A* stream[2];               // row 0 of each
  A* zeros;                   // a row for the layer that has none before it
  A *x, *projected, *start;   // of one chunk: (steps, I), (steps, 4 P U), (steps and those after the last, 4, P, W)
  A* ahead;                   // of every segment, whose layers look ahead: (2, block, 4, P, W)

  WaveScratch(const Sizes& s, const WavefrontCut& cut, Arena<A>& arena) {
    constexpr int64_t W = Wave::W;
    states = arena.template take_all<typename Wave::State>(Pairs<Wave>(s).groups);
    sums = arena.template take_all<typename Wave::Sums>(Pairs<Wave>(s).count);
    zeros = arena.take(W + Wave::units) + W;
    const int64_t rows = W + (cut.chunks * cut.steps + 4 * Wave::G) * Wave::units;
    stream[0] = arena.take(rows) + W;
    stream[1] = Wave::paired ? stream[0] : arena.take(rows) + W;
    start = arena.take((cut.steps + 4 * Wave::G) * Wave::start_row);
    projected = arena.take(cut.steps * Wave::columns);
    x = arena.take(cut.steps * s.I);
    if (Wave::looks_ahead) ahead = arena.take(cut.segments * Wave::room_ahead);
  }
};

template <class Wave, class A = typename Wave::A>
int64_t wave_workspace(const Sizes& s, const WavefrontCut& cut) {
  Arena<A> arena{nullptr};
  WaveScratch<Wave>(s, cut, arena);
  return arena.used;
}

template <class Wave, class S>
struct WaveSegment {
  using A = Arithmetic<S>;
  static constexpr int W = Wave::W, U = Wave::lanes_of_layer;
  const Forward<S>& p;
  const WavefrontCut& cut;
  WaveWeights<Wave> weights;
  WaveScratch<Wave> scratch;
  Pairs<Wave> pairs;
  int64_t sequence, segment, chunk;
  int64_t T;  // steps of this sequence

  int64_t last_chunk() const { return T ? (T - 1) / cut.steps : 0; }

  // The rows that a pair may read by the end of a chunk, which at last are all, and the steps that follow the last.
  int64_t end(int64_t pair, int64_t of_chunk) const {
    if (of_chunk < 0) return 0;
    if (of_chunk == last_chunk()) return T + pairs.lag(pair, p.size);
    const int64_t rows = (of_chunk + 1) * cut.steps - pairs.lag_before(pair);
    return rows > 0 ? rows : 0;
  }

  // (L, B, H) of this sequence <-> the lanes of the groups.
  template <class Visit>
  void each_state(int64_t pair, const Visit& visit) const {
    const int64_t first = pairs.first_group(pair);
    for (int64_t group = first; group < first + pairs.groups_of(pair); ++group)
      for (int64_t layer = group * Wave::G; layer < (group + 1) * Wave::G && layer < p.size.L; ++layer)
        for (int64_t u = 0; u < p.size.H; ++u)
          visit(scratch.states[group], u / U, layer % Wave::G * U + u % U,
                (layer * p.size.B + sequence) * p.size.H + u);
  }

  void load_states(int64_t pair) const {
    const int64_t first = pairs.first_group(pair);
    for (int64_t group = 0; group < pairs.groups_of(pair); ++group) {
      typename Wave::State& state = scratch.states[first + group];
      zero(&state.c[0][0], int64_t(sizeof state / sizeof(A)));
      for (int64_t n = 0; n < W; ++n) state.position[n] = A(pairs.position(pair, group) + n / U);
    }
    each_state(pair, [&](typename Wave::State& s, int64_t v, int64_t lane, int64_t at) {
      if (p.h_0) s.h[v][lane] = load(p.h_0[at]);
      if (p.c_0) s.c[v][lane] = load(p.c_0[at]);
    });
  }

  void store_states(int64_t pair) const {
    each_state(pair, [&](const typename Wave::State& s, int64_t v, int64_t lane, int64_t at) {
      store(p.h_n + at, s.h[v][lane]);
      store(p.c_n + at, s.c[v][lane]);
    });
  }

  // Where the sums of steps [d0, d1) begin: in the first layer's lanes with its bias and the products with the inputs,
  // in other layers' with their bias.
  void project(int64_t d0, int64_t d1) const {
    const int64_t I = p.size.I, columns = Wave::columns, rows = (d1 < T ? d1 : T) - d0;
    for (int64_t t = 0; t < rows; ++t) load_row(p.input + ((d0 + t) * p.size.B + sequence) * I, I, scratch.x + t * I);
    matmul<A>(rows, columns, I, {scratch.x, I, 1}, {weights.first, columns, false}, {weights.first_bias, 0},
              {scratch.projected, columns});
    for (int64_t t = 0; t < d1 - d0; ++t) {
      A* to = scratch.start + t * Wave::start_row;
      copy(&weights.groups[0].bias[0][0][0], Wave::start_row, to);
      for (int64_t v = 0; t < rows && v < Wave::start_row / W; ++v)
        copy(scratch.projected + t * columns + v * U, U, to + v * W);
    }
  }

  void store_output(int64_t t0, int64_t t1) const {
    for (int64_t t = t0; t < t1; ++t)
      store_row(scratch.stream[(pairs.count - 1) % 2] + t * Wave::units, p.size.H,
                p.output + (t * p.size.B + sequence) * p.size.H);
  }

  template <bool previous>
  void advance(const typename Wave::Together& together, int64_t pair, int64_t d0, int64_t d1) const {
    if constexpr (!Wave::looks_ahead)
      Wave::template advance<previous>(together, d0, d1);
    else if (pair == 0)
      Wave::template advance_begun<previous>(together, nullptr, d0, d1);
    else if (d0 < d1)
      Wave::template advance_looking_ahead<previous>(together, scratch.ahead + segment * Wave::room_ahead, d0, d1);
  }

  void run_pair(int64_t pair) const {
    const int64_t group = pairs.first_group(pair), lag = pairs.lag(pair, p.size);
    const int64_t d0 = end(pair, chunk - 1), d1 = end(pair, chunk);
    typename Wave::Together together = {weights.groups + group,
                                        scratch.states + group,
                                        pairs.groups_of(pair),
                                        lag,
                                        T,
                                        &weights.groups[group].bias[0][0][0],
                                        0,
                                        scratch.stream[(pair + 1) % 2],
                                        Wave::units,
                                        scratch.stream[pair % 2],
                                        scratch.sums + pair};
    if (pair == 0) {
      project(d0, d1);
      together.start = scratch.start - d0 * Wave::start_row;
      together.start_step = Wave::start_row;
      together.in = scratch.zeros;
      together.in_row = 0;
    }
    if (p.options.output_peephole_previous)
      advance<true>(together, pair, d0, d1);
    else
      advance<false>(together, pair, d0, d1);
    if (pair + 1 == pairs.count && d1 > lag) store_output(d0 > lag ? d0 - lag : 0, d1 - lag);
  }

  void run() const {
    if (chunk > last_chunk()) return;
    if (segment == 0 && chunk == 0) {
      zero(scratch.zeros, Wave::units);
      if (!Wave::paired)
        for (A* stream : scratch.stream) zero(stream, T * Wave::units);
      for (int64_t t = T; t < p.size.T; ++t)
        for (int64_t u = 0; u < p.size.H; ++u) store(p.output + (t * p.size.B + sequence) * p.size.H + u, A(0));
    }
    const int64_t first = segment * pairs.count / cut.segments, after = (segment + 1) * pairs.count / cut.segments;
    for (int64_t pair = first; pair < after; ++pair) {
      if (chunk == 0) load_states(pair);
      if (T) run_pair(pair);
      if (chunk == last_chunk()) store_states(pair);
    }
  }
};

template <class Wave, class S>
void wave_forward(const Forward<S>& p, const WavefrontCut& cut, const Arithmetic<S>* packed, int64_t sequence,
                  int64_t segment, int64_t chunk, Arithmetic<S>* workspace) {
  using A = Arithmetic<S>;
  Arena<A> weights{const_cast<A*>(packed)}, scratch{workspace};
  const WaveSegment<Wave, S> part = {p,
                                     cut,
                                     WaveWeights<Wave>(p.size, weights),
                                     WaveScratch<Wave>(p.size, cut, scratch),
                                     Pairs<Wave>(p.size),
                                     sequence,
                                     segment,
                                     chunk,
                                     running_steps(p, sequence)};
  part.run();
}

template <class V, int U, int P, class S>
WavefrontKernels<S> wavefront_kernels() {
  if constexpr (U > V::width) {
    return {};
  } else {
    using W = Wave<V, U, P>;
    return {W::units, wave_parts<W>, wave_weights_size<W>, wave_workspace<W>, pack_wave<W, S>, wave_forward<W, S>};
  }
}
