// What a .cu file sees instead of the device when a C++ compiler builds it (README.md): included before everything
// else by the compiler's -include. Kernels stay plain CUDA. They may not use __shared__ variables: blocks that run
// together would share them; dynamic shared memory comes from cuda_on_host::shared_memory().
#pragma once
#define __DEVICE_LAUNCH_PARAMETERS_H__  // the toolkit's threadIdx and the like: scheduler.h has ours
#include <cuda_runtime.h>
#include <string.h>

#include "tests/cuda_on_host/scheduler.h"

#undef __launch_bounds__
#define __launch_bounds__(...)
#undef __shared__
#define __shared__ static_assert(false, "use dynamic shared memory");
#define cudaLaunchKernelEx ::cuda_on_host::launch_kernel

namespace cuda_on_host {

// What the driver would say to the launch; `fail_next_launch` is what a test wants it to say.
cudaError_t check(const cudaLaunchConfig_t& config, const void* kernel);
void fail_next_launch(cudaError_t error);

// How many blocks the device can have resident together, and whether it launches them so. Few by default: to
// ThreadSanitizer each thread of a kernel is one of the 8,128 that it can tell apart.
struct Device {
  int multiprocessors = 12, blocks_each = 1;
  bool cooperative = true;
};
void set_device(Device device);

inline bool is_cooperative(const cudaLaunchConfig_t& config) {
  for (unsigned k = 0; k < config.numAttrs; ++k)
    if (config.attrs[k].id == cudaLaunchAttributeCooperative) return config.attrs[k].val.cooperative;
  return false;
}

template <class... Parameters, class... Arguments>
cudaError_t launch_kernel(const cudaLaunchConfig_t* config, void (*kernel)(Parameters...), Arguments&&... arguments) {
  const cudaError_t error = check(*config, reinterpret_cast<const void*>(kernel));
  if (error == cudaSuccess)
    run({config->gridDim, config->blockDim, config->dynamicSmemBytes, is_cooperative(*config)},
        [&] { kernel(arguments...); });
  return error;
}

template <class T>
T shuffle_bits(unsigned lanes, T value, unsigned source_lane) {
  static_assert(sizeof(T) <= sizeof(uint64_t), "a lane passes on 8 bytes at most");
  uint64_t bits = 0;
  memcpy(&bits, &value, sizeof value);
  bits = shuffle(lanes, bits, source_lane);
  memcpy(&value, &bits, sizeof value);
  return value;
}

// sum (16, 8) += a (16, 16) b (16, 8), by a whole warp: each lane has the elements that PTX gives it of a fragment for
// mma.m16n8k16 with 16-bit types. A word has two of them, the lower half the first.
template <class Number>
void multiply_m16n8k16(const uint32_t (&a)[4], const uint32_t (&b)[2], float (&sum)[4], Number number) {
  Brought mine;
  memcpy(mine.words, a, sizeof a);
  memcpy(mine.words + 2, b, sizeof b);
  const Brought* met = meet(~0u, mine);
  auto element = [&](unsigned group, unsigned in_group, unsigned first, unsigned i) {
    return number(uint16_t(met[group * 4 + in_group].words[(first + i) / 4] >> (first + i) % 4 * 16));
  };
  for (unsigned i = 0; i < 4; ++i) {
    const unsigned row = lane() / 4 + (i < 2 ? 0 : 8), column = lane() % 4 * 2 + (i & 1);
    for (unsigned k = 0; k < 16; ++k) {
      const unsigned in_group = k % 8 / 2, of_a = (k & 1) + (row < 8 ? 0 : 2) + (k < 8 ? 0 : 4);
      const unsigned of_b = (k & 1) + (k < 8 ? 0 : 2);
      sum[i] += element(row % 8, in_group, 0, of_a) * element(column, in_group, 8, of_b);
    }
  }
}

// Flags in global memory, for threads of blocks that are resident together.
inline int load_acquire(const int* flag) {
  before_poll();
  return __atomic_load_n(flag, __ATOMIC_ACQUIRE);
}

inline void store_release(int* flag, int value) {
  __atomic_store_n(flag, value, __ATOMIC_RELEASE);
  after_store();
}

}  // namespace cuda_on_host

inline void __syncthreads() { cuda_on_host::block_barrier(); }
inline void __syncwarp(unsigned lanes = ~0u) { cuda_on_host::warp_barrier(lanes); }

template <class T>
T __shfl_sync(unsigned lanes, T value, int source, int width = 32) {
  const unsigned group = cuda_on_host::lane() & ~unsigned(width - 1);
  return cuda_on_host::shuffle_bits(lanes, value, group + (unsigned(source) & unsigned(width - 1)));
}

template <class T>
T __shfl_xor_sync(unsigned lanes, T value, int mask, int width = 32) {
  const unsigned lane = cuda_on_host::lane(), source = lane ^ unsigned(mask);
  const bool beyond = source / unsigned(width) > lane / unsigned(width);
  return cuda_on_host::shuffle_bits(lanes, value, beyond ? lane : source);
}

template <class T>
T __shfl_up_sync(unsigned lanes, T value, unsigned delta, int width = 32) {
  const unsigned lane = cuda_on_host::lane();
  return cuda_on_host::shuffle_bits(lanes, value, lane % unsigned(width) >= delta ? lane - delta : lane);
}

template <class T>
T __shfl_down_sync(unsigned lanes, T value, unsigned delta, int width = 32) {
  const unsigned lane = cuda_on_host::lane();
  return cuda_on_host::shuffle_bits(lanes, value,
                                    lane % unsigned(width) + delta < unsigned(width) ? lane + delta : lane);
}

inline unsigned __ballot_sync(unsigned lanes, int vote) { return cuda_on_host::ballot(lanes, vote != 0); }
inline int __all_sync(unsigned lanes, int vote) { return __ballot_sync(lanes, vote) == lanes; }
inline int __any_sync(unsigned lanes, int vote) { return __ballot_sync(lanes, vote) != 0; }
