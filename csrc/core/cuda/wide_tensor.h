// The recurrence of the wide schedule (wide.h) on tensor cores, for 16-bit types. A block has some units of the layer,
// in groups of 8, and some sequences, in groups of 32: as many cells as it has threads. Their pre-activations are a
// product of tiles, whose sum over k its warps share: the recurrent weights stay in shared memory in 16 bits, and what
// the step before has left, rounded to 16 bits, is read from global memory once. Blocks wait for those with the same
// sequences only.
#pragma once
#include "core/cuda/tensor.h"
#include "core/cuda/wide.h"

namespace resblock::cuda {

static_assert(group_units * group_sequences == wide_threads, "a thread has one cell of a group");

// A thread's cell in one of the groups of its block, and the tiles that meet for the group.
struct TensorCell {
  int64_t unit_group, sequence_tile;  // the group: which of the block's by units, and where its sequences begin
  int tiles;                          // that hold sequences, of group_tiles
  int64_t b, u;
  bool exists;
};

// The part of a layer that a block has.
struct TensorBlock {
  Exchange exchange;
  int64_t H, B;
  int64_t units, first_unit;
  int64_t sequence_block, sequence_blocks;  // every sequence_blocks-th group of sequences is the block's
  int64_t peers;                            // blocks with the same sequences
  int* flags;                               // (peers,), theirs

  __device__ TensorBlock(const Sizes& s, const Partition& partition, int* all_flags)
      : exchange(s),
        H(s.H),
        B(s.B),
        units(partition.units),
        first_unit(blockIdx.x % partition.unit_blocks * partition.units),
        sequence_block(blockIdx.x / partition.unit_blocks),
        sequence_blocks(partition.sequence_blocks),
        peers(partition.unit_blocks),
        flags(all_flags + sequence_block * partition.unit_blocks) {}

  __device__ void wait(int step) const { wait_for_all(flags, peers, step); }
  __device__ void tell(int step) const { tell_all(flags + blockIdx.x % peers, step); }

  // act(cell) for each group, by all threads.
  template <class Act>
  __device__ __forceinline__ void for_each_cell(const Act& act) const {
    const int me = threadIdx.x, lane = me % warp_lanes, number = me / warp_lanes % sums_of_lane;
    const int tile = me / warp_lanes / sums_of_lane;
    for (int64_t s = sequence_block * group_sequences; s < B; s += sequence_blocks * group_sequences)
      for (int64_t n = 0; n < units && first_unit + n < H; n += group_units) {
        const int64_t b = s + tile * tile_rows + row_of_sum(lane, number);
        const int64_t u = first_unit + n + column_of_sum(lane, number);
        act(TensorCell{n / group_units, s / tile_rows, B - s > tile_rows ? group_tiles : 1, b, u, b < B && u < H});
      }
  }

  // The recurrent weights of the block's units, in the order in which `multiply` meets them: by groups of units, tiles
  // of k and gates. k is a unit that goes into the sum for unit u, with which `weights` has it at k k_stride + u
  // u_stride.
  template <class S>
  __device__ void load_weights(const S* weights, int64_t k_stride, int64_t u_stride, S* to) const {
    const int64_t depth = exchange.unit_tiles * tile_depth;
    for (int64_t e = threadIdx.x; e < gates_of_cell * units * depth; e += wide_threads) {
      const int64_t k = e % depth, column = e / depth % units, gate = e / depth / units, u = first_unit + column;
      S* tile = to + ((column / group_units * exchange.unit_tiles + k / tile_depth) * gates_of_cell + gate) * tile_b;
      tile[place_in_b(k % tile_depth, column % group_units)] =
          k < H && u < H ? weights[gate * H * H + k * k_stride + u * u_stride] : S{0};
    }
  }

  // sum[k] from[k, b] weights[k, u] of the thread's cell, for each matrix of weights; each warp sums some tiles of k,
  // and the threads add the warps' sums in their order.
  template <int matrices, class S>
  __device__ __forceinline__ CellSums<matrices> multiply(const TensorCell& cell, const S* from, const S* weights,
                                                         CellSums<matrices>* partial) const {
    const int lane = threadIdx.x % warp_lanes, warp = warp_index();
    const int64_t k_tiles = exchange.unit_tiles * gates_of_cell / matrices;
    from += cell.sequence_tile * tile_a;
    weights += cell.unit_group * exchange.unit_tiles * gates_of_cell * tile_b;
    FragmentSum sum[group_tiles][matrices] = {};
    for (int64_t k = warp; k < k_tiles; k += wide_warps) {
      FragmentA a[group_tiles] = {};  // a branch around the products would cost more than the products by zero
      RESBLOCK_UNROLL
      for (int m = 0; m < group_tiles; ++m)
        if (m < cell.tiles) a[m] = load_a(from + (k * exchange.sequence_tiles + m) * tile_a);
      RESBLOCK_UNROLL
      for (int n = 0; n < matrices; ++n) {
        const FragmentB b = load_b(weights + (k * matrices + n) * tile_b);
        RESBLOCK_UNROLL
        for (int m = 0; m < group_tiles; ++m) multiply_tiles(S(), a[m], b, sum[m][n]);
      }
    }
    RESBLOCK_UNROLL
    for (int m = 0; m < group_tiles; ++m) {
      RESBLOCK_UNROLL
      for (int i = 0; i < sums_of_lane; ++i) {
        CellSums<matrices> mine;
        RESBLOCK_UNROLL
        for (int n = 0; n < matrices; ++n) mine.of[n] = sum[m][n].of[i];
        partial[warp * wide_threads + (m * sums_of_lane + i) * warp_lanes + lane] = mine;
      }
    }
    __syncthreads();
    CellSums<matrices> total = {};
    RESBLOCK_UNROLL
    for (int w = 0; w < wide_warps; ++w) {
      const CellSums<matrices> part = partial[w * wide_threads + threadIdx.x];
      RESBLOCK_UNROLL
      for (int n = 0; n < matrices; ++n) total.of[n] += part.of[n];
    }
    __syncthreads();
    return total;
  }
};

}  // namespace resblock::cuda
