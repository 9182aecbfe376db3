// Kernels with one mistake each. A sanitizer must end the program at the one that the command line names: the proof
// that it would find the mistake in a real kernel.
#include <stdio.h>
#include <string.h>

#include <vector>

namespace {

int* shared() { return static_cast<int*>(cuda_on_host::shared_memory()); }

__global__ void missing_barrier(int* out) {
  shared()[threadIdx.x] = int(threadIdx.x);
  out[threadIdx.x] = shared()[threadIdx.x ^ 1];
}

// A shuffle passes values, but orders no memory.
__global__ void shuffle_for_barrier(int* out) {
  shared()[threadIdx.x] = int(threadIdx.x);
  __shfl_sync(~0u, 0, 0);
  out[threadIdx.x] = shared()[threadIdx.x ^ 1];
}

// The flag is raised by a store that releases nothing.
__global__ void relaxed_flag(int* out) {
  if (threadIdx.x == 0) {
    shared()[1] = 7;
    __atomic_store_n(out, 1, __ATOMIC_RELAXED);
    cuda_on_host::after_store();
  } else if (threadIdx.x == 32) {
    while (cuda_on_host::load_acquire(out) == 0) cuda_on_host::sleep_until_store();
    out[1] = shared()[1];
  }
}

// What every block writes and reads should be its own.
__global__ void scratch_of_another_block(int* out) {
  out[threadIdx.x] = int(blockIdx.x);
  __syncthreads();
  out[threadIdx.x] += 1;
}

__global__ void past_the_end(int* out) { out[threadIdx.x] = shared()[threadIdx.x + 1]; }

struct Case {
  const char* name;
  void (*kernel)(int*);
};

const Case cases[] = {{"missing_barrier", missing_barrier},
                      {"shuffle_for_barrier", shuffle_for_barrier},
                      {"relaxed_flag", relaxed_flag},
                      {"scratch_of_another_block", scratch_of_another_block},
                      {"past_the_end", past_the_end}};

}  // namespace

int main(int, char** argv) {
  const int threads = 64;
  std::vector<int> out(threads, 0);
  cudaLaunchConfig_t config = {};
  cuda_on_host::set_schedule({cuda_on_host::Order::ascending, 2});
  config.gridDim = 2;
  config.blockDim = threads;
  config.dynamicSmemBytes = threads * sizeof(int);
  for (const Case& wrong : cases)
    if (!strcmp(wrong.name, argv[1])) cudaLaunchKernelEx(&config, wrong.kernel, out.data());
  puts("not found");
}
