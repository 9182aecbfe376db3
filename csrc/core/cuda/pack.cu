#include "core/cuda/pack.h"

#include <algorithm>

#include "core/cuda/launch_kernel.h"

namespace resblock::cuda {
namespace {

constexpr int pack_warps = 4;
constexpr int64_t most_blocks = 1024;

template <int G>
Shape shape(const Sizes& s) {
  const int64_t threads = pack_warps * warp_lanes, blocks = (Packed<G>::size(s) + threads - 1) / threads;
  return {std::min(blocks, most_blocks), pack_warps, 0};
}

template <int G>
__global__ void pack_kernel(Weights<const AnyFloat> weights, FloatType type, Sizes s, Packed<G> packed, int* flags,
                            int64_t flag_count) {
  const int64_t threads = int64_t(gridDim.x) * blockDim.x, me = int64_t(blockIdx.x) * blockDim.x + threadIdx.x;
  for (int64_t e = me; e < flag_count; e += threads) flags[e] = 0;
  for (int64_t e = me; e < Packed<G>::size(s); e += threads) {
    float value[gates_of_cell];
    RESBLOCK_UNROLL
    for (int gate = 0; gate < gates_of_cell; ++gate) {
      const auto from = unpacked<G>(weights, s, e, gate);
      value[gate] = from.array ? load(type, from.array, from.index) : 0.f;
    }
    packed.base[e] = {value[0], value[1], value[2], value[3]};
  }
}

// Sums in double, because the number of parts may be large.
template <int G>
__global__ void unpack_kernel(Weights<AnyFloat> gradients, FloatType type, Sizes s, Packed<G> packed, int64_t parts) {
  const int64_t threads = int64_t(gridDim.x) * blockDim.x, size = Packed<G>::size(s);
  for (int64_t e = int64_t(blockIdx.x) * blockDim.x + threadIdx.x; e < size; e += threads) {
    double sum[gates_of_cell] = {0, 0, 0, 0};
    for (int64_t part = 0; part < parts; ++part) {
      const float4 value = packed.base[part * size + e];
      sum[0] += value.x;
      sum[1] += value.y;
      sum[2] += value.z;
      sum[3] += value.w;
    }
    RESBLOCK_UNROLL
    for (int gate = 0; gate < gates_of_cell; ++gate) {
      const auto to = unpacked<G>(gradients, s, e, gate);
      if (to.array) store(type, to.array, to.index, float(sum[gate]));
    }
  }
}

}  // namespace

template <int G>
const char* pack(const Inputs<AnyFloat>& p, FloatType type, const Packed<G>& packed, const Context& context, int* flags,
                 int64_t flag_count) {
  return launch_kernel(context, shape<G>(p.size), pack_kernel<G>, p.weights, type, p.size, packed, flags, flag_count);
}

template <int G>
const char* unpack(const AnyBackward& p, const Packed<G>& parts, int64_t count, const Context& context) {
  return launch_kernel(context, shape<G>(p.size), unpack_kernel<G>, p.grad_weights, p.type, p.size, parts, count);
}

#define RESBLOCK_INSTANTIATE(G)                                                                                   \
  template const char* pack(const Inputs<AnyFloat>&, FloatType, const Packed<G>&, const Context&, int*, int64_t); \
  template const char* unpack(const AnyBackward&, const Packed<G>&, int64_t, const Context&);
RESBLOCK_INSTANTIATE(8)
RESBLOCK_INSTANTIATE(16)
RESBLOCK_INSTANTIATE(32)

}  // namespace resblock::cuda
