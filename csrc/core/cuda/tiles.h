// The tiles in which tensor cores take small matrices of 16-bit types, and how the wide schedule (wide.h) has them in
// memory: as the lanes of a warp hold them (PTX, mma.m16n8k16), so that a lane reads its part of a tile at once.
#pragma once
#include "core/cuda/plan.h"

namespace resblock::cuda {

template <class S>
constexpr bool on_tensor_cores = false;
template <>
inline constexpr bool on_tensor_cores<bfloat16> = true;
template <>
inline constexpr bool on_tensor_cores<float16> = true;

constexpr int tile_rows = 16, tile_depth = 16, tile_columns = 8;
constexpr int tile_a = tile_rows * tile_depth, tile_b = tile_depth * tile_columns;  // numbers of a tile
constexpr int sums_of_lane = tile_rows * tile_columns / warp_lanes;

// Where a tile of a has (row, k), and one of b (k, column).
RESBLOCK_INLINE int64_t place_in_a(int64_t row, int64_t k) {
  const int64_t lane = row % 8 * 4 + k % 8 / 2;
  return lane * 8 + k / 8 * 4 + row / 8 * 2 + k % 2;
}
RESBLOCK_INLINE int64_t place_in_b(int64_t k, int64_t column) {
  const int64_t lane = column * 4 + k % 8 / 2;
  return lane * 4 + k / 8 * 2 + k % 2;
}

// Where the sum has a lane's number i.
RESBLOCK_INLINE int row_of_sum(int lane, int i) { return lane / 4 + i / 2 * 8; }
RESBLOCK_INLINE int column_of_sum(int lane, int i) { return lane % 4 * 2 + i % 2; }

// A block has units in groups, and sequences in groups: as many cells of a group as it has threads.
constexpr int group_units = tile_columns, group_tiles = 2, group_sequences = group_tiles * tile_rows;

// Tiles of the matrix that goes from step to step, (tiles of k, tiles of sequences) of (16 sequences, 16 k) each. k
// counts units; of gates, where there are several, each 16 units have one tile after the other. What pads tiles is
// zero.
struct Exchange {
  int64_t unit_tiles, sequence_tiles;

  RESBLOCK_INLINE explicit Exchange(const Sizes& s)
      : unit_tiles((s.H + tile_depth - 1) / tile_depth), sequence_tiles((s.B + tile_rows - 1) / tile_rows) {}

  RESBLOCK_INLINE int64_t numbers(int64_t gates) const { return gates * unit_tiles * sequence_tiles * tile_a; }

  RESBLOCK_INLINE int64_t place(int64_t gates, int64_t gate, int64_t unit, int64_t sequence) const {
    const int64_t tile = (unit / tile_depth * gates + gate) * sequence_tiles + sequence / tile_rows;
    return tile * tile_a + place_in_a(sequence % tile_rows, unit % tile_depth);
  }
};

// Numbers of a block's weights, which are in tiles of (16 k, 8 units).
RESBLOCK_INLINE int64_t tensor_weights(const Sizes& s, int64_t units) {
  return Exchange(s).unit_tiles * tile_depth * gates_of_cell * units;
}

// What one cell gets of a product with that many matrices.
template <int matrices>
struct alignas(sizeof(float) * matrices) CellSums {
  float of[matrices];
};

}  // namespace resblock::cuda
