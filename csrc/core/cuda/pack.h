// The kernels that pack weights, and that unpack their gradients (packed.h).
#pragma once
#include "core/cuda/launch_kernel.h"
#include "core/cuda/packed.h"

namespace resblock::cuda {

constexpr int pack_warps = 4;
constexpr int64_t pack_most_blocks = 1024;

template <int G>
Shape pack_shape(const Sizes& s) {
  const int64_t threads = pack_warps * warp_lanes, blocks = (Packed<G>::size(s) + threads - 1) / threads;
  return {blocks < pack_most_blocks ? blocks : pack_most_blocks, pack_warps, 0};
}

// Also clears `flags`, for kernels that count their progress in them.
template <class S, int G>
__global__ void pack_kernel(Inputs<S> p, Packed<G> packed, int* flags, int64_t flag_count) {
  const int64_t threads = int64_t(gridDim.x) * blockDim.x, me = int64_t(blockIdx.x) * blockDim.x + threadIdx.x;
  for (int64_t e = me; e < flag_count; e += threads) flags[e] = 0;
  for (int64_t e = me; e < Packed<G>::size(p.size); e += threads) {
    float value[4];
    RESBLOCK_UNROLL
    for (int gate = 0; gate < 4; ++gate) {
      const S* from = unpacked<G>(p.weights, p.size, e, gate);
      value[gate] = from ? float(load(*from)) : 0.f;
    }
    packed.base[e] = {value[0], value[1], value[2], value[3]};
  }
}

template <class S, int G>
const char* launch_pack(const Inputs<S>& p, const Packed<G>& packed, const Context& context, int* flags = nullptr,
                        int64_t flag_count = 0) {
  return launch_kernel(context, pack_shape<G>(p.size), pack_kernel<S, G>, p, packed, flags, flag_count);
}

// The gradients of the weights: the sum over `parts`, which lie one after the other, in this order. Double, because
// their number may be large.
template <class S, int G>
__global__ void unpack_kernel(Weights<S> gradients, Sizes s, Packed<G> packed, int64_t parts) {
  const int64_t threads = int64_t(gridDim.x) * blockDim.x, size = Packed<G>::size(s);
  for (int64_t e = int64_t(blockIdx.x) * blockDim.x + threadIdx.x; e < size; e += threads) {
    double sum[4] = {0, 0, 0, 0};
    for (int64_t part = 0; part < parts; ++part) {
      const float4 value = packed.base[part * size + e];
      sum[0] += value.x;
      sum[1] += value.y;
      sum[2] += value.z;
      sum[3] += value.w;
    }
    RESBLOCK_UNROLL
    for (int gate = 0; gate < 4; ++gate)
      if (S* to = unpacked<G>(gradients, s, e, gate)) store(to, float(sum[gate]));
  }
}

template <class S, int G>
const char* launch_unpack(const Backward<S>& p, const Packed<G>& parts, int64_t count, const Context& context) {
  return launch_kernel(context, pack_shape<G>(p.size), unpack_kernel<S, G>, p.grad_weights, p.size, parts, count);
}

}  // namespace resblock::cuda
