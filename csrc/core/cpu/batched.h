// The schedule of small layers and many sequences: a block of sequences, called a tile here, side by side in the lanes
// of a vector, every weight a scalar that is broadcast. A tile goes through the network in chunks of time, layer after
// layer. Where there are fewer tiles than threads, threads share the layers of a tile.
#pragma once
#include "core/cpu/arena.h"
#include "core/cpu/packed.h"
#include "core/cpu/partition.h"

namespace resblock::cpu {

// Which task: chunk c of segment s wants chunk c of segment s - 1 and chunk c - 1 of segment s to be done. Backward,
// segments are counted from the last layers and chunks from the end. A tile has chunks up to the end of its longest
// sequence, which is its first; its saved activations come after those of the tiles before, of so many steps of
// sequences.
struct TilePart {
  int64_t tile, segment, chunk, rows_before;
};

// Chunks of a tile, at least one: states go through it in any case.
template <class A>
RESBLOCK_INLINE int64_t chunks_of_tile(const Inputs<A>& p, const Partition& partition, int64_t tile) {
  const int64_t steps = running_steps(p, tile * partition.sequences);
  return steps ? (steps + partition.steps - 1) / partition.steps : 1;
}

// The forward pass takes units in pairs. The weights of a pair, each for both units: biases, peepholes, then per input
// (the layer's, then its own h) one per gate. An odd last unit has a partner of zeros.
struct UnitPairs {
  static constexpr int64_t units = 2;
  static constexpr int64_t bias = 0, peephole = units * gates_of_cell, inputs = peephole + units * peepholes_of_cell;
  static constexpr int64_t per_input = units * gates_of_cell;

  static RESBLOCK_INLINE int64_t count(const Sizes& s) { return (s.H + units - 1) / units; }
  static RESBLOCK_INLINE int64_t values(int64_t layer_inputs, int64_t H) {
    return inputs + per_input * (layer_inputs + H);
  }
  static RESBLOCK_INLINE int64_t of_layer(const Sizes& s, int64_t layer) {  // where they begin
    return layer ? count(s) * (values(s.I, s.H) + (layer - 1) * values(s.H, s.H)) : 0;
  }
  static RESBLOCK_INLINE int64_t of_all_layers(const Sizes& s) { return of_layer(s, s.L); }
};

// Two planes (steps, H, lanes) that one segment hands to the next: of the last two layers, because a shortcut reaches
// two layers far. While one chunk's are read, the next chunk's are written.
template <class A>
struct Handover {
  A* planes[2][2] = {};  // of even and odd chunks

  RESBLOCK_INLINE void take(int64_t plane, Arena& arena) {
    for (auto& of_chunk : planes)
      for (A*& p : of_chunk) p = arena.take<A>(plane);
  }
};

// The workspace of one tile, as one segment sees it: the states are the tile's, the rest is the segment's.
template <class A>
struct ForwardTileScratch {
  A* x;            // of one chunk: (steps, inputs or H, lanes)
  A* ring[3];      // (steps, H, lanes)
  A* saved;        // (steps, 6H, lanes)
  A* h_of_two[2];  // (H, lanes), of a step and the one before
  A *h, *c;        // (L, H, lanes), carried from chunk to chunk
  Handover<A> from_before, to_next;

  RESBLOCK_INLINE ForwardTileScratch(const Sizes& s, const Partition& partition, int64_t segment, Arena& arena) {
    const int64_t lanes = partition.sequences, rows = partition.steps * lanes, states = s.L * s.H * lanes;
    h = arena.take<A>(states);
    c = arena.take<A>(states);
    for (int64_t of = 0; of <= segment; ++of) {
      x = arena.take<A>(rows * (s.I > s.H ? s.I : s.H));
      for (A*& plane : ring) plane = arena.take<A>(rows * s.H);
      saved = arena.take<A>(rows * saved_of_cell * s.H);
      for (A*& of_step : h_of_two) of_step = arena.take<A>(s.H * lanes);
      from_before = to_next;
      if (of + 1 < partition.segments) to_next.take(rows * s.H, arena);
    }
  }
};

template <class A>
struct BackwardTileScratch {
  A *h_before, *dx, *ring[3];  // of one chunk: (steps, H or inputs, lanes)
  A* dz;                       // (steps, 4H, lanes)
  A* xh;                       // of sequences' rows: (steps, lanes, inputs + H)
  A* products;                 // (4H, inputs + H)
  A *saved, *before;           // copies of a chunk's saved rows and of those of the step before
  A *dpeephole, *tanh_c;       // (3, H, lanes), (H, lanes)
  A *dh, *dc;                  // (L, H, lanes), carried from chunk to chunk
  A* dh_next;                  // (H, lanes)
  Handover<A> from_above, to_below;

  RESBLOCK_INLINE BackwardTileScratch(const Sizes& s, const Partition& partition, int64_t segment, Arena& arena) {
    const int64_t lanes = partition.sequences, rows = partition.steps * lanes, states = s.L * s.H * lanes;
    const int64_t fed = s.H + (s.I > s.H ? s.I : s.H);
    dh = arena.take<A>(states);
    dc = arena.take<A>(states);
    for (int64_t of = 0; of <= segment; ++of) {
      xh = arena.take<A>(rows * fed);
      products = arena.take<A>(gates_of_cell * s.H * fed);
      h_before = arena.take<A>(rows * s.H);
      dz = arena.take<A>(rows * gates_of_cell * s.H);
      dx = arena.take<A>(rows * s.I);
      for (A*& plane : ring) plane = arena.take<A>(rows * s.H);
      saved = arena.take<A>(rows * saved_of_cell * s.H);
      before = arena.take<A>(saved_of_cell * s.H * lanes);
      dpeephole = arena.take<A>(peepholes_of_cell * s.H * lanes);
      tanh_c = arena.take<A>(s.H * lanes);
      dh_next = arena.take<A>(s.H * lanes);
      from_above = to_below;
      if (of + 1 < partition.segments) to_below.take(rows * s.H, arena);
    }
  }
};

// Whether few sequences go into half a vector: shorter ones are not worth kernels of their own.
RESBLOCK_INLINE constexpr bool has_half_tiles(int64_t lanes) { return lanes >= 16; }

// `scratch` is that of the tile.
template <class A>
struct BatchedKernels {
  int64_t lanes;
  void (*pack_forward)(const Inputs<A>&, int64_t layer, A* packed);  // UnitPairs
  void (*pack_backward)(const Inputs<A>&, int64_t layer, A* packed);
  void (*forward)(const Forward<A>&, const Partition&, const A* packed, const TilePart&, void* scratch);
  // Adds to the weight gradients, which begin with the first tile.
  void (*backward)(const Backward<A>&, const Partition&, const A* packed, const TilePart&, bool first_tile,
                   A* gradients, void* scratch);
};

}  // namespace resblock::cpu
