// Products of bfloat16 numbers by the tiles of AMX. No standard header with inline code may come in here, as in
// kernels.inl.
#include "core/cpu/bfloat16.h"
#include "core/cpu/isa.h"

#if RESBLOCK_AMX

// Where intrinsics take the numbers of tiles as literals only, templates need the instructions themselves. Clang's
// assembler wants to be told that they are there.
#if defined(__clang__)
#pragma clang attribute push(__attribute__((target("amx-tile,amx-bf16"))), apply_to = function)
#endif

namespace resblock::cpu {
namespace {

template <int tile>
RESBLOCK_INLINE void load(const void* from, int64_t stride) {
  asm volatile("tileloadd (%0,%1,1), %%tmm%c2" : : "r"(from), "r"(stride), "i"(tile) : "memory");
}
template <int tile>
RESBLOCK_INLINE void store(void* to, int64_t stride) {
  asm volatile("tilestored %%tmm%c2, (%0,%1,1)" : : "r"(to), "r"(stride), "i"(tile) : "memory");
}
template <int tile>
RESBLOCK_INLINE void clear() {
  asm volatile("tilezero %%tmm%c0" : : "i"(tile));
}
template <int sum, int left, int right>
RESBLOCK_INLINE void add_product() {
  asm volatile("tdpbf16ps %%tmm%c2, %%tmm%c1, %%tmm%c0" : : "i"(sum), "i"(left), "i"(right));
}

// What LDTILECFG reads.
struct TileShapes {
  uint8_t palette = 1, start_row = 0, reserved[14] = {};
  uint16_t row_bytes[16] = {};
  uint8_t rows[16] = {};

  void set(int tile, int64_t height, int64_t width) {
    rows[tile] = uint8_t(height);
    row_bytes[tile] = uint16_t(width * int64_t(sizeof(float)));
  }
};

template <int k>
struct Number {
  static constexpr int value = k;
};

// Calls body with the constants 0 to count - 1.
template <int count, int k = 0, class Body>
RESBLOCK_INLINE void each(const Body& body) {
  if constexpr (k < count) {
    body(Number<k>());
    each<count, k + 1>(body);
  }
}

constexpr int64_t most_rows = 16, most_columns = bfloat16_columns, tile_depth = bfloat16_depth;

struct Extent {
  int64_t rows, columns;
};

// M by N tiles of C. The first four are sums, then come those of the left and those of the right side. Rows of the last
// tiles, and columns of a single one, may be fewer than 16.
template <int M, int N>
struct Block {
  static constexpr int sum(int m, int n) { return m * N + n; }
  static constexpr int left(int m) { return 4 + m; }
  static constexpr int right(int n) { return 4 + M + n % (4 - M); }

  static void configure(const Extent& extent) {
    TileShapes shapes;
    const int64_t columns = N == 1 ? extent.columns : most_columns;
    for (int m = 0; m < M; ++m) {
      const int64_t rows = m + 1 < M ? most_rows : extent.rows - m * most_rows;
      shapes.set(left(m), rows, tile_depth / 2);
      for (int n = 0; n < N; ++n) shapes.set(sum(m, n), rows, columns);
    }
    for (int n = 0; n < N; ++n) shapes.set(right(n), tile_depth / 2, columns);
    asm volatile("ldtilecfg %0" : : "m"(shapes));
  }

  // Calls body for each tile of C: its constants m and n, its first row and column.
  template <class Body>
  RESBLOCK_INLINE static void each_sum(int64_t row, int64_t column, const Body& body) {
    each<M>([&](auto m) {
      each<N>([&](auto n) { body(m, n, row + m.value * most_rows, column + n.value * most_columns); });
    });
  }

  static void run(const Bfloat16Product& p, int64_t first_row, int64_t first_column) {
    each_sum(first_row, first_column, [&](auto m, auto n, int64_t row, int64_t column) {
      constexpr int to = sum(decltype(m)::value, decltype(n)::value);
      p.init ? load<to>(p.init + row * p.init_row + column, p.init_row * int64_t(sizeof(float))) : clear<to>();
    });
    const int64_t depth = padded_depth(p.K), row = left_row(p.K);
    for (int64_t k = 0; k < depth; k += tile_depth) {
      each<M>([&](auto m) {
        load<left(decltype(m)::value)>(p.left + (first_row + m.value * most_rows) * row + k,
                                       row * int64_t(sizeof(bfloat16)));
      });
      each<N>([&](auto n) {
        constexpr int N_ = decltype(n)::value;
        load<right(N_)>(p.right + (first_column + n.value * most_columns) * depth + k * most_columns,
                        most_columns * int64_t(sizeof(float)));
        each<M>([&](auto m) {
          constexpr int M_ = decltype(m)::value;
          add_product<sum(M_, N_), left(M_), right(N_)>();
        });
      });
    }
    each_sum(first_row, first_column, [&](auto m, auto n, int64_t row, int64_t column) {
      store<sum(decltype(m)::value, decltype(n)::value)>(p.to + row * p.row + column, p.row * int64_t(sizeof(float)));
    });
  }
};

// All rows of some columns.
template <int M, int N>
inline void multiply_columns(const Bfloat16Product& p, int64_t row, int64_t column, Extent& configured) {
  for (; row < p.M; row += M * most_rows) {
    const int64_t rows = p.M - row, columns = p.N - column;
    if constexpr (M > 1)
      if (rows <= most_rows) return multiply_columns<1, N>(p, row, column, configured);
    const Extent extent = {rows < M * most_rows ? rows : M * most_rows,
                           columns < N * most_columns ? columns : N * most_columns};
    if (extent.rows != configured.rows || extent.columns != configured.columns)
      Block<M, N>::configure(configured = extent);
    Block<M, N>::run(p, row, column);
  }
}

// Columns in blocks of N tiles, and what remains tile by tile.
template <int M, int N>
inline void multiply_in_blocks(const Bfloat16Product& p) {
  Extent configured = {0, 0};
  const int64_t width = N * most_columns, blocks = (p.N + width - 1) / width;
  for (int64_t k = 0; k < blocks; ++k) {
    const int64_t column = (p.back ? blocks - 1 - k : k) * width;
    if (column + width <= p.N)
      multiply_columns<M, N>(p, 0, column, configured);
    else
      for (int64_t n = column; n < p.N; n += most_columns) multiply_columns<M, 1>(p, 0, n, configured);
  }
  asm volatile("tilerelease");
}

}  // namespace

// Few rows have more columns at once: the sums of a tile wait for each other.
void multiply_amx_bf16(const Bfloat16Product& p) {
  return p.M <= most_rows ? multiply_in_blocks<1, 4>(p) : multiply_in_blocks<2, 2>(p);
}

}  // namespace resblock::cpu

#if defined(__clang__)
#pragma clang attribute pop
#endif
#endif
