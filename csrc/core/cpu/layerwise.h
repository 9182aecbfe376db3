// The general schedule: a block of sequences goes through the network in chunks of time, layer after layer.
// In a chunk the products with the inputs of a layer are one matrix product, the recurrence is one small product
// and the cell per step. It takes every size; what it needs of memory does not grow with T.
#pragma once
#include "core/cpu/arena.h"
#include "core/cpu/packed.h"
#include "core/cpu/parallel.h"
#include "core/cpu/partition.h"

namespace resblock::cpu {

// Values that the packed layers before this one take.
template <class A>
RESBLOCK_INLINE int64_t packed_before(const Sizes& s, const Partition& partition, int64_t layer) {
  if (partition.products == Products::full) return packed_layer(s, layer).ih;
  return packed_bfloat16_layer(s, layer).ih * int64_t(sizeof(bfloat16)) / int64_t(sizeof(A));
}

// Values of the largest layer, where layers are packed one by one.
template <class A>
RESBLOCK_INLINE int64_t packed_by_layer(const Sizes& s, const Partition& partition) {
  if (partition.packing != Packing::by_layer) return 0;
  const int64_t first = packed_before<A>(s, partition, 1);
  const int64_t later = s.L > 1 ? packed_before<A>(s, partition, 2) - first : 0;
  return first > later ? first : later;
}

// Of products of bfloat16 numbers: where their sides are rounded to, and what multiplies them.
struct RoundedProducts {
  bfloat16 *left = nullptr, *right = nullptr;
  MultiplyBfloat16 multiply = nullptr;

  RESBLOCK_INLINE RoundedProducts(Products products, int64_t left_numbers, int64_t right_numbers, Arena& arena) {
    if (products == Products::full) return;
    left = arena.take<bfloat16>(left_numbers);
    right = arena.take<bfloat16>(right_numbers);
    multiply = multiply_bfloat16(products);
  }

  // Rows of inputs or of h meet weights.
  static RESBLOCK_INLINE RoundedProducts of_forward(const Sizes& s, const Partition& partition, Arena& arena) {
    return {partition.products, partition.rows * left_row(s.I > s.H ? s.I : s.H), 0, arena};
  }
  // Rows of dz meet weights; its columns meet the rows of inputs or of h.
  static RESBLOCK_INLINE RoundedProducts of_backward(const Sizes& s, const Partition& partition, Arena& arena) {
    const int64_t rows = partition.rows, gates = gates_of_cell * s.H;
    const int64_t by_row = rows * left_row(gates), by_column = gates * left_row(rows);
    return {partition.products, by_row > by_column ? by_row : by_column, packed_bfloat16(rows, s.I > s.H ? s.I : s.H),
            arena};
  }
};

// The workspace of one block.
template <class A>
struct ForwardBlockScratch {
  A *x, *gates, *y[3];   // of one chunk
  A *h, *c;              // (L, sequences, H), carried from chunk to chunk
  A* weights = nullptr;  // of one layer, where layers are packed one by one
  A* cells = nullptr;    // c of one chunk, where it is wanted
  int64_t* first_row;    // (steps + 1,) of one chunk
  RoundedProducts rounded;

  RESBLOCK_INLINE ForwardBlockScratch(const Sizes& s, const Partition& partition, Arena& arena)
      : rounded(RoundedProducts::of_forward(s, partition, arena)) {
    const int64_t rows = partition.rows, states = s.L * partition.sequences * s.H;
    x = arena.take<A>(rows * (s.I > s.H ? s.I : s.H));
    gates = arena.take<A>(rows * gates_of_cell * s.H);
    for (A*& plane : y) plane = arena.take<A>(rows * s.H);
    h = arena.take<A>(states);
    c = arena.take<A>(states);
    if (const int64_t packed = packed_by_layer<A>(s, partition)) weights = arena.take<A>(packed);
    if (partition.cells) cells = arena.take<A>(rows * s.H);
    first_row = arena.take<int64_t>(rows + 1);
  }
};

// From so many units on the rows of dz, one below the other, fall into few lines of the caches: they are packed before
// they are multiplied along the rows.
constexpr int64_t units_worth_packing = 256;

// The workspace of one group, whose blocks take it one after the other.
template <class A>
struct BackwardBlockScratch {
  A *x, *dx, *dz, *h_before, *dy[3], *dpeephole;                     // of one chunk
  A *dh, *dc;                                                        // (L, sequences, H), carried from chunk to chunk
  A* weights = nullptr;                                              // of one layer, where layers are packed one by one
  A *packed_dz = nullptr, *packed_x = nullptr, *packed_h = nullptr;  // of one chunk
  int64_t* first_row;                                                // (steps + 1,) of one chunk
  RoundedProducts rounded;

  RESBLOCK_INLINE BackwardBlockScratch(const Sizes& s, const Partition& partition, Arena& arena)
      : rounded(RoundedProducts::of_backward(s, partition, arena)) {
    const int64_t rows = partition.rows, states = s.L * partition.sequences * s.H;
    const int64_t inputs = s.I > s.H ? s.I : s.H;
    x = arena.take<A>(rows * inputs);
    dx = arena.take<A>(rows * s.I);
    dz = arena.take<A>(rows * gates_of_cell * s.H);
    h_before = arena.take<A>(rows * s.H);
    for (A*& plane : dy) plane = arena.take<A>(rows * s.H);
    dpeephole = arena.take<A>(peepholes_of_cell * s.H);
    dh = arena.take<A>(states);
    dc = arena.take<A>(states);
    if (const int64_t packed = packed_by_layer<A>(s, partition)) weights = arena.take<A>(packed);
    if (s.H >= units_worth_packing && partition.products == Products::full) {
      packed_dz = arena.take<A>(rows * gates_of_cell * s.H);
      packed_x = arena.take<A>(rows * inputs);
      packed_h = arena.take<A>(rows * s.H);
    }
    first_row = arena.take<int64_t>(rows + 1);
  }
};

// The threads given share the products of the block, or of the
// group; `packed` is null but for weights packed ahead.
template <class A>
struct LayerwiseKernels {
  void (*pack_forward)(const Inputs<A>&, const Partition&, int64_t layer, A* packed);
  void (*pack_backward)(const Inputs<A>&, const Partition&, int64_t layer, A* packed);
  void (*forward_block)(const Forward<A>&, const Parallel&, const Partition&, const A* packed, int64_t block,
                        void* scratch);
  // Sums the weight gradients of the group's blocks into `gradients` (packed_size), or, where that is null,
  // into those of the problem.
  void (*backward_group)(const Backward<A>&, const Parallel&, const Partition&, const A* packed, int64_t group,
                         A* gradients, void* scratch);
};

}  // namespace resblock::cpu
