// The storage types, and the type each is computed in.
#pragma once
#include <stdint.h>
#include <string.h>

#if defined(__CUDACC__)
#define RESBLOCK_INLINE __host__ __device__ __forceinline__
#else
#define RESBLOCK_INLINE inline __attribute__((always_inline))
#endif

#if defined(__CUDACC__)
#define RESBLOCK_UNROLL _Pragma("unroll")
#elif defined(__clang__)
#define RESBLOCK_UNROLL _Pragma("unroll 16")
#else
#define RESBLOCK_UNROLL _Pragma("GCC unroll 16")
#endif

// No step of the loop that follows reads what another one writes.
#if defined(__clang__)
#define RESBLOCK_INDEPENDENT _Pragma("clang loop vectorize(assume_safety)")
#else
#define RESBLOCK_INDEPENDENT _Pragma("GCC ivdep")
#endif

namespace resblock {

// IEEE 754 binary16 and bfloat16 as bits: the CUDA kernels store them and compute in float.
struct float16 {
  uint16_t bits;
};
struct bfloat16 {
  uint16_t bits;
};

template <class To, class From>
RESBLOCK_INLINE To bit_cast(From from) {
  static_assert(sizeof(To) == sizeof(From), "bit_cast keeps the size");
  To to;
  memcpy(&to, &from, sizeof to);
  return to;
}

template <class S>
struct ArithmeticOf {
  using type = S;
};
template <>
struct ArithmeticOf<float16> {
  using type = float;
};
template <>
struct ArithmeticOf<bfloat16> {
  using type = float;
};
template <class S>
using Arithmetic = typename ArithmeticOf<S>::type;

RESBLOCK_INLINE float load(float x) { return x; }
RESBLOCK_INLINE double load(double x) { return x; }
RESBLOCK_INLINE float load(bfloat16 x) { return bit_cast<float>(uint32_t(x.bits) << 16); }

// Shifting the bits in place leaves the exponent 112 too low; one exact product mends normal numbers and
// denormals alike. Infinity and NaN keep the largest exponent.
RESBLOCK_INLINE float load(float16 x) {
  const uint32_t sign = uint32_t(x.bits & 0x8000u) << 16, rest = uint32_t(x.bits & 0x7fffu) << 13;
  const float finite = bit_cast<float>(rest) * bit_cast<float>(uint32_t(0x77800000));  // 2^112
  const uint32_t special = rest | 0x7f800000u;
  return bit_cast<float>(sign | (rest >= 0x0f800000u ? special : bit_cast<uint32_t>(finite)));
}

RESBLOCK_INLINE void store(float* to, float x) { *to = x; }
RESBLOCK_INLINE void store(double* to, double x) { *to = x; }

// Round to nearest even. NaN stays NaN: its payload must not be rounded up into infinity.
RESBLOCK_INLINE void store(bfloat16* to, float x) {
  const uint32_t bits = bit_cast<uint32_t>(x);
  const bool nan = (bits & 0x7fffffffu) > 0x7f800000u;
  to->bits = nan ? uint16_t((bits >> 16) | 0x40u) : uint16_t((bits + 0x7fffu + ((bits >> 16) & 1u)) >> 16);
}

RESBLOCK_INLINE void store(float16* to, float x) {
  const uint32_t bits = bit_cast<uint32_t>(x), magnitude = bits & 0x7fffffffu;
  const uint16_t sign = uint16_t((bits >> 16) & 0x8000u);
  uint32_t half;
  if (magnitude > 0x7f800000u) {
    half = 0x7e00u;  // NaN
  } else if (magnitude >= 0x477ff000u) {
    half = 0x7c00u;  // rounds past 65504: infinity
  } else if (magnitude < 0x38800000u) {
    // Denormal: adding 0.5 leaves the rounded multiple of 2^-24 in the low bits.
    half = bit_cast<uint32_t>(bit_cast<float>(magnitude) + 0.5f) - 0x3f000000u;
  } else {
    half = (magnitude - 0x38000000u + 0xfffu + ((magnitude >> 13) & 1u)) >> 13;
  }
  to->bits = uint16_t(sign | half);
}

}  // namespace resblock
