// What kernels take from the machine below CUDA C++: dynamic shared memory, and flags between blocks that are resident
// together. The host runtime of the tests (tests/cuda_on_host.h) has its own.
#pragma once
#include <cuda_runtime.h>
#if defined(RESBLOCK_DEBUG)
#include <stdio.h>
#endif

#include "core/cuda/memory.h"
#include "core/cuda/plan.h"

namespace resblock::cuda {

#if defined(__CUDACC__)

extern __shared__ float4 dynamic_shared[];
__device__ __forceinline__ Memory shared_memory() { return Memory(dynamic_shared); }

// Lanes of a warp share the number, and the compiler shall know it: else it guards every barrier of the warp.
__device__ __forceinline__ int warp_index() { return __shfl_sync(~0u, int(threadIdx.x) / warp_lanes, 0); }

// A barrier of the block that its warps may reach in different places of the code, unlike that of __syncthreads():
// PTX's barrier.sync without .aligned, which cooperative groups take as well (cooperative_groups/details/sync.h).
__device__ __forceinline__ void block_barrier() { __barrier_sync(0); }

// Flags between blocks are told and waited for as CUDA's own barrier of a grid does it (sync_grids_arrive and
// sync_grids_wait, in the same file): a barrier of the writers, a release by one thread of them; an acquire by one
// thread of the readers, a barrier of these.
__device__ __forceinline__ int load_acquire(const int* flag) {
  int value;
  asm volatile("ld.acquire.gpu.global.s32 %0, [%1];" : "=r"(value) : "l"(__cvta_generic_to_global(flag)) : "memory");
  return value;
}

__device__ __forceinline__ void store_release(int* flag, int value) {
  asm volatile("st.release.gpu.global.s32 [%0], %1;" ::"l"(__cvta_generic_to_global(flag)), "r"(value) : "memory");
}

// Waits until the flag has reached `wanted`. In a debug build a wait that cannot end stops the program and says so.
__device__ __forceinline__ void wait_for(const int* flag, int wanted) {
#if defined(RESBLOCK_DEBUG)
  for (int64_t polls = 0; load_acquire(flag) < wanted; ++polls) {
    if (polls > int64_t(1) << 28) {
      printf("resblock: block %d waits in vain for step %d of a neighbour that is at %d\n", int(blockIdx.x), wanted,
             load_acquire(flag));
      __trap();
    }
    __nanosleep(20);
  }
#else
  while (load_acquire(flag) < wanted) __nanosleep(20);
#endif
}

#else

inline Memory shared_memory() { return Memory(cuda_on_host::shared_memory()); }
inline int warp_index() { return int(threadIdx.x) / warp_lanes; }
inline void block_barrier() { __syncthreads(); }
inline void store_release(int* flag, int value) { cuda_on_host::store_release(flag, value); }
inline void wait_for(const int* flag, int wanted) {
  while (cuda_on_host::load_acquire(flag) < wanted) cuda_on_host::sleep_until_store();
}

#endif

// Waits until all of `count` blocks have told of `step`; all threads of a block call it.
__device__ __forceinline__ void wait_for_all(const int* flags, int64_t count, int step) {
  for (int64_t block = threadIdx.x; block < count; block += blockDim.x) wait_for(flags + block, step);
  __syncthreads();
}

// Tells the others that the block has written all of `step`.
__device__ __forceinline__ void tell_all(int* flag, int step) {
  __syncthreads();
  if (threadIdx.x == 0) store_release(flag, step);
}

}  // namespace resblock::cuda
