// Products of small matrices on tensor cores, for 16-bit types: sum (16, 8) += a (16, 16) b (16, 8), by a whole warp,
// accumulated in float32, where tiles lie in memory as tiles.h says. The host runtime of the tests has the product by
// its definition.
#pragma once
#include <string.h>

#include "core/cuda/device.h"
#include "core/cuda/tiles.h"

namespace resblock::cuda {

// What a lane holds of each; two numbers to a word, the lower half the one of the lower k.
struct FragmentA {
  uint32_t words[4];
};
struct FragmentB {
  uint32_t words[2];
};
struct FragmentSum {
  float of[sums_of_lane];
};

// Tiles begin on a boundary of 16 bytes.
#if defined(__CUDACC__)

template <class S>
__device__ __forceinline__ FragmentA load_a(const S* tile) {
  const uint4 words = reinterpret_cast<const uint4*>(tile)[threadIdx.x % warp_lanes];
  return {{words.x, words.y, words.z, words.w}};
}

template <class S>
__device__ __forceinline__ FragmentB load_b(const S* tile) {
  const uint2 words = reinterpret_cast<const uint2*>(tile)[threadIdx.x % warp_lanes];
  return {{words.x, words.y}};
}

#define RESBLOCK_MULTIPLY_TILES(S, type)                                                                        \
  __device__ __forceinline__ void multiply_tiles(S, const FragmentA& a, const FragmentB& b, FragmentSum& sum) { \
    asm volatile("mma.sync.aligned.m16n8k16.row.col.f32." type "." type                                         \
                 ".f32 {%0, %1, %2, %3}, {%4, %5, %6, %7}, {%8, %9}, {%0, %1, %2, %3};"                         \
                 : "+f"(sum.of[0]), "+f"(sum.of[1]), "+f"(sum.of[2]), "+f"(sum.of[3])                           \
                 : "r"(a.words[0]), "r"(a.words[1]), "r"(a.words[2]), "r"(a.words[3]), "r"(b.words[0]),         \
                   "r"(b.words[1]));                                                                            \
  }
RESBLOCK_MULTIPLY_TILES(bfloat16, "bf16")
RESBLOCK_MULTIPLY_TILES(float16, "f16")
#undef RESBLOCK_MULTIPLY_TILES

#else

template <class S>
FragmentA load_a(const S* tile) {
  FragmentA fragment;
  memcpy(fragment.words, tile + threadIdx.x % warp_lanes * 8, sizeof fragment.words);
  return fragment;
}

template <class S>
FragmentB load_b(const S* tile) {
  FragmentB fragment;
  memcpy(fragment.words, tile + threadIdx.x % warp_lanes * 4, sizeof fragment.words);
  return fragment;
}

template <class S>
void multiply_tiles(S, const FragmentA& a, const FragmentB& b, FragmentSum& sum) {
  cuda_on_host::multiply_m16n8k16(a.words, b.words, sum.of, [](uint16_t bits) { return load(S{bits}); });
}

#endif

}  // namespace resblock::cuda
