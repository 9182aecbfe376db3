// The schedule of few sequences and many small layers. The layers of a group lie side by side in the lanes of a vector,
// each one step behind the layer before it: T L dependent steps become T + L. Groups run in pairs over chunks of time,
// the products of one between the nonlinear parts of the other; threads take a share of the pairs each, chunk by chunk.
// Forward only, without dropout and with nothing saved for a backward pass. One layer's outputs over all time are the
// only memory that grows with T.
#pragma once
#include "core/cpu/arena.h"
#include "core/cpu/partition.h"
#include "core/problem.h"

namespace resblock::cpu {

// How layers stand in vectors: each has `vectors` of them, and so many of its units, padded, in each.
struct WaveShape {
  int64_t lanes, layer_lanes, vectors;

  RESBLOCK_INLINE constexpr int64_t units() const { return layer_lanes * vectors; }
  RESBLOCK_INLINE constexpr int64_t layers() const { return lanes / layer_lanes; }  // of a group
  RESBLOCK_INLINE constexpr bool paired() const { return layers() > 1; }
  RESBLOCK_INLINE constexpr int64_t columns() const { return gates_of_cell * units(); }
  RESBLOCK_INLINE constexpr int64_t start_row() const { return gates_of_cell * vectors * lanes; }

  // Values of a group's arrays.
  RESBLOCK_INLINE constexpr int64_t weights() const {
    return (2 * units() * gates_of_cell * vectors + (gates_of_cell + peepholes_of_cell + 1) * vectors + 1) * lanes;
  }
  RESBLOCK_INLINE constexpr int64_t state() const { return (4 * vectors + 1) * lanes; }
  RESBLOCK_INLINE constexpr int64_t sums() const { return (gates_of_cell + 1) * vectors * lanes; }

  // Where the weights of a layer fill the first-level cache, the products with its inputs are taken a block of steps
  // at a time, ahead, in room for two blocks.
  template <class A>
  RESBLOCK_INLINE constexpr bool looks_ahead() const {
    return !paired() && weights() * int64_t(sizeof(A)) > 32768;
  }
  RESBLOCK_INLINE constexpr int64_t block_ahead() const { return 4 * vectors; }
  RESBLOCK_INLINE constexpr int64_t room_ahead() const { return 2 * block_ahead() * start_row(); }
};

struct LayerLanes {
  int lanes, vectors;
};
// For ever more units; those that the vectors are too short for take none.
constexpr LayerLanes wave_layers[] = {{4, 1}, {4, 2}, {8, 2}, {16, 2}};

// The first shape that takes layers of H units; without lanes if there is none.
RESBLOCK_INLINE WaveShape wave_shape(int64_t lanes, int64_t H) {
  for (const LayerLanes& layer : wave_layers)
    if (layer.lanes <= lanes && H <= layer.lanes * layer.vectors) return {lanes, layer.lanes, layer.vectors};
  return {0, 1, 1};
}

// Groups of several layers run in pairs, an odd one makes the last pair three; single layers run alone. The second of a
// pair lags one step more, because its sums begin while the first computes.
struct WavePairs {
  WaveShape shape;
  int64_t layers, members, groups, count;

  RESBLOCK_INLINE WavePairs(const WaveShape& shape, const Sizes& s)
      : shape(shape),
        layers(s.L),
        members(shape.paired() ? 2 : 1),
        groups((s.L + shape.layers() - 1) / shape.layers()),
        count(groups < members ? 1 : groups / members) {}
  RESBLOCK_INLINE int64_t first_group(int64_t pair) const { return members * pair; }
  RESBLOCK_INLINE int64_t groups_of(int64_t pair) const {
    return pair + 1 < count ? members : groups - first_group(pair);
  }
  RESBLOCK_INLINE int64_t position(int64_t pair, int64_t group) const {
    return group * shape.layers() + (groups_of(pair) == 2 && group == 1 ? 1 : 0);
  }
  // Steps by which the last layer of a pair lags behind the first.
  RESBLOCK_INLINE int64_t lag(int64_t pair) const {
    const int64_t last = groups_of(pair) - 1, next = (first_group(pair) + last + 1) * shape.layers();
    return position(pair, last) + shape.layers() - 1 - (next > layers ? next - layers : 0);
  }
  RESBLOCK_INLINE int64_t lag_before(int64_t pair) const {
    return pair * (shape.paired() ? 2 * shape.layers() : shape.layers() - 1);
  }
};

template <class A>
RESBLOCK_INLINE constexpr int64_t whole_lines(int64_t values) {
  constexpr int64_t line = cache_line / int64_t(sizeof(A));
  return (values + line - 1) / line * line;
}

template <class A>
struct WaveWeights {
  A* groups;              // the weights of each, in whole cache lines
  A *first, *first_bias;  // of the first layer's inputs: packed (I, columns), and (columns) of bias

  RESBLOCK_INLINE WaveWeights(const WaveShape& shape, const Sizes& s, Arena& arena) {
    groups = arena.take<A>(WavePairs(shape, s).groups * whole_lines<A>(shape.weights()));
    first = arena.take<A>(s.I * shape.columns());
    first_bias = arena.take<A>(shape.columns());
  }
};

// The workspace of one sequence. Between pairs stand rows of outputs. A pair of groups writes where it read, rows that
// lie behind; single layers write odd layers' outputs to one array and even layers' to the other, where they find that
// of two layers ago.
template <class A>
struct WaveScratch {
  A* states;                 // of every group, in whole cache lines
  A* sums;                   // of every pair
  A* outputs[2];             // row 0 of each
  A* zeros;                  // a row for the layer that has none before it
  A *x, *projected, *start;  // of one chunk: (steps, I), (steps, columns), (steps and those after the last, start_row)
  A* ahead = nullptr;        // of every segment, whose layers look ahead

  RESBLOCK_INLINE WaveScratch(const WaveShape& shape, const Sizes& s, const Partition& partition, Arena& arena) {
    const WavePairs pairs(shape, s);
    const int64_t W = shape.lanes, after_last = 4 * shape.layers();
    states = arena.take<A>(pairs.groups * whole_lines<A>(shape.state()));
    sums = arena.take<A>(pairs.count * shape.sums());
    zeros = arena.take<A>(W + shape.units()) + W;
    const int64_t rows = W + (partition.chunks * partition.steps + after_last) * shape.units();
    outputs[0] = arena.take<A>(rows) + W;
    outputs[1] = shape.paired() ? outputs[0] : arena.take<A>(rows) + W;
    start = arena.take<A>((partition.steps + after_last) * shape.start_row());
    projected = arena.take<A>(partition.steps * shape.columns());
    x = arena.take<A>(partition.steps * s.I);
    if (shape.looks_ahead<A>()) ahead = arena.take<A>(partition.segments * shape.room_ahead());
  }
};

template <class A>
struct WavefrontKernels {
  int64_t units;  // of a layer, at most
  void (*pack)(const Inputs<A>&, void* weights);
  // Chunk 0 of segment 0 comes first: it sets the sequence up. Then chunk c of segment s wants chunk c of segment s-1
  // and chunk c-1 of segment s to be done.
  void (*forward)(const Forward<A>&, const Partition&, const void* weights, int64_t sequence, int64_t segment,
                  int64_t chunk, void* scratch);
};

}  // namespace resblock::cpu
