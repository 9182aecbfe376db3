// Products of bfloat16 numbers by the dot products of AVX512_BF16, and the layouts of both sides. No standard header
// with inline code may come in here, as in kernels.inl.
#include "core/cpu/bfloat16.h"

#include <string.h>

// Intrinsics begin with values that they then overwrite.
#if !defined(__clang__)
#pragma GCC diagnostic ignored "-Wmaybe-uninitialized"
#pragma GCC diagnostic ignored "-Wuninitialized"
#endif
#include <immintrin.h>

#define RESBLOCK_TARGET __attribute__((target("avx512bf16")))

namespace resblock::cpu {
namespace {

constexpr int lanes = 16;

RESBLOCK_INLINE __mmask16 first_lanes(int64_t count) {
  return count >= lanes ? __mmask16(0xffff) : count <= 0 ? __mmask16(0) : __mmask16((1u << count) - 1);
}

// 16 numbers of a row, in the lower half, of which some are there.
RESBLOCK_TARGET RESBLOCK_INLINE __m256i numbers(__mmask16 there, const float* from) {
  return (__m256i)_mm512_cvtneps_pbh(_mm512_maskz_loadu_ps(there, from));
}
RESBLOCK_INLINE __m256i numbers(__mmask16 there, const bfloat16* from) { return _mm256_maskz_loadu_epi16(there, from); }

// 32 numbers of a row of which `count` are there.
template <class S>
RESBLOCK_TARGET RESBLOCK_INLINE __m512i row_of(int64_t count, const S* from) {
  const __m256i low = numbers(first_lanes(count), from);
  if (count <= lanes) return _mm512_inserti64x4(_mm512_setzero_si512(), low, 0);
  return _mm512_inserti64x4(_mm512_castsi256_si512(low), numbers(first_lanes(count - lanes), from + lanes), 1);
}

// The order 0, 16, 1, 17, ..., 15, 31.
inline __m512i interleaving() {
  int16_t order[2 * lanes];
  for (int16_t k = 0; k < 2 * lanes; ++k) order[k] = int16_t(k / 2 + k % 2 * lanes);
  return _mm512_loadu_si512(order);
}

// Pairs of two rows, of which `count` are there.
template <class S>
RESBLOCK_TARGET RESBLOCK_INLINE __m512i pairs_of(int64_t count, __mmask16 there, const S* from, int64_t row) {
  const __m256i even = numbers(count > 0 ? there : __mmask16(0), from);
  const __m256i odd = numbers(count > 1 ? there : __mmask16(0), from + row);
  return _mm512_permutexvar_epi16(interleaving(), _mm512_inserti64x4(_mm512_castsi256_si512(even), odd, 1));
}

// Transposes 16 rows of 16 pairs.
RESBLOCK_INLINE void transpose(__m512i (&rows)[lanes]) {
  __m512i t[lanes];
  for (int k = 0; k < lanes; k += 2) {
    t[k] = _mm512_unpacklo_epi32(rows[k], rows[k + 1]);
    t[k + 1] = _mm512_unpackhi_epi32(rows[k], rows[k + 1]);
  }
  for (int k = 0; k < lanes; k += 4)
    for (int j = 0; j < 2; ++j) {
      rows[k + 2 * j] = _mm512_unpacklo_epi64(t[k + j], t[k + 2 + j]);
      rows[k + 2 * j + 1] = _mm512_unpackhi_epi64(t[k + j], t[k + 2 + j]);
    }
  for (int k = 0; k < 4; ++k)
    for (int j = 0; j < 2; ++j) {
      t[8 * j + k] = _mm512_shuffle_i32x4(rows[8 * j + k], rows[8 * j + 4 + k], 0x88);
      t[8 * j + 4 + k] = _mm512_shuffle_i32x4(rows[8 * j + k], rows[8 * j + 4 + k], 0xdd);
    }
  for (int k = 0; k < 8; ++k) {
    rows[k] = _mm512_shuffle_i32x4(t[k], t[8 + k], 0x88);
    rows[8 + k] = _mm512_shuffle_i32x4(t[k], t[8 + k], 0xdd);
  }
}

template <int R, int P>
RESBLOCK_TARGET inline void tile(const Bfloat16Product& p, int64_t m, int64_t n) {
  __m512 sum[R][P];
  __mmask16 there[P];
  for (int k = 0; k < P; ++k) there[k] = first_lanes(p.N - n - k * lanes);
  for (int r = 0; r < R; ++r)
    for (int k = 0; k < P; ++k)
      sum[r][k] =
          p.init ? _mm512_maskz_loadu_ps(there[k], p.init + (m + r) * p.init_row + n + k * lanes) : _mm512_setzero_ps();
  const int64_t depth = padded_depth(p.K), row = left_row(p.K);
  for (int64_t k = 0; k < depth; k += 2) {
    __m512i right[P];
    for (int j = 0; j < P; ++j) right[j] = _mm512_loadu_si512(p.right + (n + j * lanes) * depth + k * lanes);
    RESBLOCK_UNROLL
    for (int r = 0; r < R; ++r) {
      int left;
      memcpy(&left, p.left + (m + r) * row + k, sizeof left);
      const __m512i x = _mm512_set1_epi32(left);
      RESBLOCK_UNROLL
      for (int j = 0; j < P; ++j) sum[r][j] = _mm512_dpbf16_ps(sum[r][j], (__m512bh)x, (__m512bh)right[j]);
    }
  }
  for (int r = 0; r < R; ++r)
    for (int k = 0; k < P; ++k) _mm512_mask_storeu_ps(p.to + (m + r) * p.row + n + k * lanes, there[k], sum[r][k]);
}

constexpr int most_rows = 6;

// Some rows of P panels.
template <int R, int P>
inline void rows_of(int64_t rows, const Bfloat16Product& p, int64_t m, int64_t n) {
  if (rows == R) return tile<R, P>(p, m, n);
  if constexpr (R > 1) rows_of<R - 1, P>(rows, p, m, n);
}

template <int P>
inline void columns_of(const Bfloat16Product& p, int64_t n) {
  const int64_t tiles = (p.M + most_rows - 1) / most_rows;
  for (int64_t k = 0; k < tiles; ++k) {
    const int64_t m = k * p.M / tiles, end = (k + 1) * p.M / tiles;
    rows_of<most_rows, P>(end - m, p, m, n);
  }
}

}  // namespace

RESBLOCK_TARGET void round_to_bfloat16(int64_t rows, int64_t K, const float* from, bfloat16* to) {
  for (int64_t m = 0; m < rows; ++m, from += K, to += left_row(K))
    for (int64_t k = 0; k < K; k += bfloat16_depth) _mm512_storeu_si512(to + k, row_of(K - k, from + k));
}

RESBLOCK_TARGET void round_transposed_to_bfloat16(int64_t rows, int64_t K, const float* from, int64_t from_row,
                                                  bfloat16* to) {
  for (int64_t m = 0; m < rows; m += lanes)
    for (int64_t k = 0; k < K; k += bfloat16_depth) {
      __m512i tile[lanes];
      for (int j = 0; j < lanes; ++j)
        tile[j] = pairs_of(K - k - 2 * j, first_lanes(rows - m), from + (k + 2 * j) * from_row + m, from_row);
      transpose(tile);
      for (int j = 0; j < lanes && m + j < rows; ++j) _mm512_storeu_si512(to + (m + j) * left_row(K) + k, tile[j]);
    }
}

namespace {

template <class S>
RESBLOCK_TARGET inline void pack(int64_t K, int64_t N, const S* from, int64_t row, bfloat16* to) {
  for (int64_t n = 0; n < N; n += lanes)
    for (int64_t k = 0; k < padded_depth(K); k += 2, to += 2 * lanes)
      _mm512_storeu_si512(to, pairs_of(K - k, first_lanes(N - n), from + k * row + n, row));
}

}  // namespace

RESBLOCK_TARGET void pack_bfloat16(int64_t K, int64_t N, const float* from, int64_t from_row, bfloat16* to) {
  pack(K, N, from, from_row, to);
}
RESBLOCK_TARGET void pack_bfloat16(int64_t K, int64_t N, const bfloat16* from, int64_t from_row, bfloat16* to) {
  pack(K, N, from, from_row, to);
}

RESBLOCK_TARGET void pack_bfloat16_transposed(int64_t K, int64_t N, const bfloat16* from, bfloat16* to) {
  for (int64_t n = 0; n < N; n += lanes)
    for (int64_t k = 0; k < K; k += bfloat16_depth) {
      __m512i tile[lanes];
      for (int j = 0; j < lanes; ++j)
        tile[j] = n + j < N ? row_of(K - k, from + (n + j) * K + k) : _mm512_setzero_si512();
      transpose(tile);
      for (int j = 0; j < lanes; ++j, to += 2 * lanes) _mm512_storeu_si512(to, tile[j]);
    }
}

void multiply_avx512_bf16(const Bfloat16Product& p) {
  constexpr int at_once = 4;
  const int64_t width = at_once * lanes, groups = (p.N + width - 1) / width;
  for (int64_t k = 0; k < groups; ++k) {
    const int64_t n = (p.back ? groups - 1 - k : k) * width, panels = (p.N - n + lanes - 1) / lanes;
    if (panels >= at_once)
      columns_of<at_once>(p, n);
    else
      for (int64_t j = 0; j < panels; ++j) columns_of<1>(p, n + j * lanes);
  }
}

}  // namespace resblock::cpu
