// Numbers of 16 or 32 bits whose type the launch says. What is bound by arithmetic in float takes all of them with one
// kernel: compiling it for each type takes three times as long, and the type is asked for only where numbers come in or
// go out.
#pragma once
#include <cuda_runtime.h>
#include <string.h>

#include "core/problem.h"

namespace resblock {

struct AnyFloat {};
template <>
struct ArithmeticOf<AnyFloat> {
  using type = float;
};

enum class FloatType { float32, bfloat16, float16 };

constexpr FloatType float_type(float) { return FloatType::float32; }
constexpr FloatType float_type(bfloat16) { return FloatType::bfloat16; }
constexpr FloatType float_type(float16) { return FloatType::float16; }

__device__ __forceinline__ float load(FloatType type, const AnyFloat* array, int64_t index) {
  if (type == FloatType::float32) return reinterpret_cast<const float*>(array)[index];
  if (type == FloatType::bfloat16) return load(reinterpret_cast<const bfloat16*>(array)[index]);
  return load(reinterpret_cast<const float16*>(array)[index]);
}

__device__ __forceinline__ void store(FloatType type, AnyFloat* array, int64_t index, float value) {
  if (type == FloatType::float32)
    reinterpret_cast<float*>(array)[index] = value;
  else if (type == FloatType::bfloat16)
    store(reinterpret_cast<bfloat16*>(array) + index, value);
  else
    store(reinterpret_cast<float16*>(array) + index, value);
}

// A problem's pointers, with their type beside them.
template <class Problem>
struct WithType : Problem {
  FloatType type;
};
using AnyForward = WithType<Forward<AnyFloat>>;
using AnyBackward = WithType<Backward<AnyFloat>>;

template <class S, template <class> class Problem>
WithType<Problem<AnyFloat>> any_float(const Problem<S>& p) {
  static_assert(sizeof(Problem<S>) == sizeof(Problem<AnyFloat>), "pointers of any type are alike");
  WithType<Problem<AnyFloat>> any;
  memcpy(static_cast<void*>(&any), &p, sizeof p);
  any.type = float_type(S());
  return any;
}

}  // namespace resblock
