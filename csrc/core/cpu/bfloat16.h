// Matrix products of bfloat16 numbers with sums in float32, on processors that have instructions for them.
//
// The left side is rows of K, filled up with zeros to a multiple of 32 and an odd number of cache lines apart, so that
// neighbours do not fall into few lines of the caches. The right side (K, N) is packed in panels of 16
// columns, panel after panel: 32 rows of a panel are a tile of 16 rows, each with two neighbouring numbers of every
// column, as the instructions want them. Zeros fill it up, too.
#pragma once
#include "core/cpu/partition.h"
#include "core/number.h"

namespace resblock::cpu {

constexpr int64_t bfloat16_depth = 32, bfloat16_columns = 16;

RESBLOCK_INLINE int64_t padded_depth(int64_t K) { return (K + bfloat16_depth - 1) / bfloat16_depth * bfloat16_depth; }

// From one row of a left side to the next.
RESBLOCK_INLINE int64_t left_row(int64_t K) {
  return padded_depth(K) + (padded_depth(K) / bfloat16_depth % 2 ? 0 : bfloat16_depth);
}

// Numbers of a packed (K, N), or of its transpose.
RESBLOCK_INLINE int64_t packed_bfloat16(int64_t K, int64_t N) { return padded_depth(K) * padded_depth(N); }

// C = init + A B.
struct Bfloat16Product {
  int64_t M, N, K;
  const bfloat16 *left, *right;
  const float* init;  // null for zeros
  int64_t init_row;   // from one row to the next; 0 repeats one
  float* to;
  int64_t row;
  bool back;  // columns from the last to the first
};

// How an element is summed is a matter of K and the instructions alone, not of M and N.
using MultiplyBfloat16 = void (*)(const Bfloat16Product&);
void multiply_avx512_bf16(const Bfloat16Product&);
void multiply_amx_bf16(const Bfloat16Product&);

// The one with those instructions, which the processor has.
MultiplyBfloat16 multiply_bfloat16(Products);

// Dense rows of K, or of their transpose (K, rows), to those of a left side.
void round_to_bfloat16(int64_t rows, int64_t K, const float* from, bfloat16* to);
void round_transposed_to_bfloat16(int64_t rows, int64_t K, const float* from, int64_t from_row, bfloat16* to);

// Packs the right side (K, N) that stands in rows so far apart, or of which the transpose stands in dense rows (N, K).
void pack_bfloat16(int64_t K, int64_t N, const float* from, int64_t from_row, bfloat16* to);
void pack_bfloat16(int64_t K, int64_t N, const bfloat16* from, int64_t from_row, bfloat16* to);
void pack_bfloat16_transposed(int64_t K, int64_t N, const bfloat16* from, bfloat16* to);

}  // namespace resblock::cpu
