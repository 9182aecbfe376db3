// The forward pass of one segment of layers over one chunk of time.

// Unit u of a layer stands in vector u / U, lane u % U of the layer's.
template <class Wave, class A>
void pack_wave_layer(const Inputs<A>& p, int64_t layer, typename Wave::Weights& to) {
  constexpr int U = Wave::lanes_of_layer;
  const int64_t H = p.size.H, lane0 = layer % Wave::G * U;
  const LayerSource<A> w = layer_source(p, layer);
  for (int64_t u = 0; u < H; ++u) {
    const int64_t v = u / U, lane = lane0 + u % U;
    memset(&to.in_use[v][lane], 0xff, sizeof(A));
    for (int64_t gate = 0; gate < 4; ++gate) {
      const int64_t row = gate * H + u;
      const double scale = base_two_scale(gate);
      for (int64_t k = 0; k < H; ++k) {
        if (layer) to.x[k][gate][v][lane] = A(w.ih[row * H + k] * scale);
        to.h[k][gate][v][lane] = A(w.hh[row * H + k] * scale);
      }
      to.bias[gate][v][lane] = A(w.bias[row] * scale);
    }
    for (int64_t row = 0; row < 3; ++row) to.peephole[row][v][lane] = A(w.peephole[row * H + u] * sigmoid_scale);
  }
  for (int64_t u = 0; u < U; ++u) to.shortcut[lane0 + u] = has_shortcut(p.options, layer);
}

template <class Wave, class A>
void pack_wave(const Inputs<A>& p, void* packed) {
  constexpr int64_t units = Wave::units, columns = Wave::columns;
  const int64_t H = p.size.H, I = p.size.I;
  Arena arena{packed};
  const WaveWeights<A> to(Wave::shape, p.size, arena);
  memset(packed, 0, size_t(arena.used));
  auto* groups = reinterpret_cast<typename Wave::Weights*>(to.groups);
  for (int64_t layer = 0; layer < p.size.L; ++layer) pack_wave_layer<Wave>(p, layer, groups[layer / Wave::G]);
  for (int64_t gate = 0; gate < 4; ++gate)
    for (int64_t u = 0; u < H; ++u) {
      const int64_t row = gate * H + u, column = gate * units + u;
      const double scale = base_two_scale(gate);
      to.first_bias[column] = A(p.weights.bias[row] * scale);
      for (int64_t k = 0; k < I; ++k) to.first[k * columns + column] = A(p.weights.ih_first[row * I + k] * scale);
    }
}

template <class Wave, class A>
struct WaveSegment {
  static constexpr int W = Wave::W, U = Wave::lanes_of_layer;
  const Forward<A>& p;
  const Partition& partition;
  WaveWeights<A> weights;
  WaveScratch<A> scratch;
  WavePairs pairs;
  int64_t place, segment, chunk;  // place: the sequence's, among the longest first
  int64_t T;                      // steps of this sequence

  typename Wave::Weights* group_weights(int64_t group) const {
    return reinterpret_cast<typename Wave::Weights*>(weights.groups) + group;
  }
  typename Wave::State* group_state(int64_t group) const {
    return reinterpret_cast<typename Wave::State*>(scratch.states) + group;
  }
  typename Wave::Sums* pair_sums(int64_t pair) const {
    return reinterpret_cast<typename Wave::Sums*>(scratch.sums) + pair;
  }

  int64_t row(int64_t t) const { return row_at(p, t, place); }

  int64_t last_chunk() const { return T ? (T - 1) / partition.steps : 0; }

  // The rows that a pair may read by the end of a chunk, which at last are all, and the steps that follow the last.
  int64_t end(int64_t pair, int64_t of_chunk) const {
    if (of_chunk < 0) return 0;
    if (of_chunk == last_chunk()) return T + pairs.lag(pair);
    const int64_t rows = (of_chunk + 1) * partition.steps - pairs.lag_before(pair);
    return rows > 0 ? rows : 0;
  }

  // (L, B, H) of this sequence, with which its steps begin or end, <-> the lanes of the groups.
  template <class S, class Visit>
  void each_state(int64_t pair, S* states, End end, const Visit& visit) const {
    const int64_t first = pairs.first_group(pair);
    for (int64_t group = first; group < first + pairs.groups_of(pair); ++group)
      for (int64_t layer = group * Wave::G; layer < (group + 1) * Wave::G && layer < p.size.L; ++layer)
        if (S* state = state_of(p, states, layer, place, end))
          for (int64_t u = 0; u < p.size.H; ++u)
            visit(*group_state(group), u / U, layer % Wave::G * U + u % U, state[u]);
  }

  void load_states(int64_t pair) const {
    const int64_t first = pairs.first_group(pair);
    for (int64_t group = 0; group < pairs.groups_of(pair); ++group) {
      typename Wave::State& state = *group_state(first + group);
      zero(&state.c[0][0], int64_t(sizeof state / sizeof(A)));
      for (int64_t n = 0; n < W; ++n) state.position[n] = A(pairs.position(pair, group) + n / U);
    }
    using State = typename Wave::State;
    each_state(pair, p.h_0, End::first, [](State& s, int64_t v, int64_t lane, const A& h) { s.h[v][lane] = h; });
    each_state(pair, p.c_0, End::first, [](State& s, int64_t v, int64_t lane, const A& c) { s.c[v][lane] = c; });
  }

  void store_states(int64_t pair) const {
    using State = typename Wave::State;
    each_state(pair, p.h_n, End::last, [](const State& s, int64_t v, int64_t lane, A& h) { h = s.h[v][lane]; });
    each_state(pair, p.c_n, End::last, [](const State& s, int64_t v, int64_t lane, A& c) { c = s.c[v][lane]; });
  }

  // Where the sums of steps [d0, d1) begin: in the first layer's lanes with its bias and the products with the inputs,
  // in other layers' with their bias.
  void project(int64_t d0, int64_t d1) const {
    const int64_t I = p.size.I, columns = Wave::columns, rows = (d1 < T ? d1 : T) - d0;
    for (int64_t t = 0; t < rows; ++t) copy(p.input + row(d0 + t) * I, I, scratch.x + t * I);
    matmul<A>(rows, columns, I, {scratch.x, I, 1}, {weights.first, columns, false}, {weights.first_bias, 0},
              {scratch.projected, columns});
    for (int64_t t = 0; t < d1 - d0; ++t) {
      A* to = scratch.start + t * Wave::start_row;
      copy(&group_weights(0)->bias[0][0][0], Wave::start_row, to);
      for (int64_t v = 0; t < rows && v < Wave::start_row / W; ++v)
        copy(scratch.projected + t * columns + v * U, U, to + v * W);
    }
  }

  void store_output(int64_t t0, int64_t t1) const {
    for (int64_t t = t0; t < t1; ++t)
      copy(scratch.outputs[(pairs.count - 1) % 2] + t * Wave::units, p.size.H, p.output + row(t) * p.size.H);
  }

  // c of the layers of a group, each at the time where step d finds it.
  void store_cells(int64_t group, int64_t d) const {
    const typename Wave::State& state = *group_state(group);
    for (int64_t layer = group * Wave::G, lane = 0; lane < W && layer < p.size.L; ++layer, lane += U) {
      const int64_t t = d - int64_t(state.position[lane]);
      if (t < 0 || t >= T) continue;
      A* to = p.cells + (layer * row_count(p) + row(t)) * p.size.H;
      for (int64_t u = 0; u < p.size.H; ++u) to[u] = state.c[u / U][lane + u % U];
    }
  }

  // The groups of a pair that runs.
  struct Running {
    const WaveSegment& segment;
    int64_t first_group;

    static void after_step(const void* of, int64_t group, int64_t d) {
      const auto* running = static_cast<const Running*>(of);
      running->segment.store_cells(running->first_group + group, d);
    }
  };

  template <bool previous>
  void advance(const typename Wave::Together& together, int64_t pair, int64_t d0, int64_t d1) const {
    if constexpr (!Wave::looks_ahead)
      Wave::template advance<previous>(together, d0, d1);
    else if (pair == 0)
      Wave::template advance_begun<previous>(together, nullptr, d0, d1);
    else if (d0 < d1)
      Wave::template advance_looking_ahead<previous>(together, scratch.ahead + segment * Wave::shape.room_ahead(), d0,
                                                     d1);
  }

  void run_pair(int64_t pair) const {
    const int64_t group = pairs.first_group(pair), lag = pairs.lag(pair);
    const int64_t d0 = end(pair, chunk - 1), d1 = end(pair, chunk);
    typename Wave::Together together = {p.options.output_peephole_previous,
                                        group_weights(group),
                                        group_state(group),
                                        pairs.groups_of(pair),
                                        lag,
                                        T,
                                        &group_weights(group)->bias[0][0][0],
                                        0,
                                        scratch.outputs[(pair + 1) % 2],
                                        Wave::units,
                                        scratch.outputs[pair % 2],
                                        pair_sums(pair)};
    const Running running = {*this, group};
    if (p.cells) {
      together.after_step = Running::after_step;
      together.of = &running;
    }
    if (pair == 0) {
      project(d0, d1);
      together.start = scratch.start - d0 * Wave::start_row;
      together.start_step = Wave::start_row;
      together.in = scratch.zeros;
      together.in_row = 0;
    }
    with_output_peephole(p.options, [&](auto previous) { advance<previous>(together, pair, d0, d1); });
    if (pair + 1 == pairs.count && d1 > lag) store_output(d0 > lag ? d0 - lag : 0, d1 - lag);
  }

  void run() const {
    if (chunk > last_chunk()) return;
    if (segment == 0 && chunk == 0) {
      zero(scratch.zeros, Wave::units);
      if (!Wave::paired)
        for (A* outputs : scratch.outputs) zero(outputs, T * Wave::units);
    }
    const int64_t first = segment * pairs.count / partition.segments,
                  after = (segment + 1) * pairs.count / partition.segments;
    for (int64_t pair = first; pair < after; ++pair) {
      if (chunk == 0) load_states(pair);
      if (T) run_pair(pair);
      if (chunk == last_chunk()) store_states(pair);
    }
  }
};

template <class Wave, class A>
void wave_forward(const Forward<A>& p, const Partition& partition, const void* packed, int64_t place, int64_t segment,
                  int64_t chunk, void* workspace) {
  Arena weights{const_cast<void*>(packed)}, scratch{workspace};
  const WaveSegment<Wave, A> part = {p,
                                     partition,
                                     WaveWeights<A>(Wave::shape, p.size, weights),
                                     WaveScratch<A>(Wave::shape, p.size, partition, scratch),
                                     WavePairs(Wave::shape, p.size),
                                     place,
                                     segment,
                                     chunk,
                                     running_steps(p, place)};
  part.run();
}

template <class V, int layer, class A>
WavefrontKernels<A> wavefront_kernels() {
  constexpr int U = wave_layers[layer].lanes, P = wave_layers[layer].vectors;
  if constexpr (U > V::width) {
    return {};
  } else {
    using W = Wave<V, U, P>;
    return {W::units, pack_wave<W, A>, wave_forward<W, A>};
  }
}
