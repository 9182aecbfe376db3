// The runtime itself: kernels whose right answer is known, and kernels that are wrong in known ways.
#include <algorithm>
#include <string>
#include <vector>

#include "tests/check.h"

namespace {

using cuda_on_host::KernelError;
using cuda_on_host::Order;

const cuda_on_host::Schedule schedules[] = {{Order::ascending, 1}, {Order::descending, 2}, {Order::shuffled, 3}};

template <class... Parameters, class... Arguments>
cudaError_t start(dim3 grid, dim3 block, size_t shared_bytes, bool cooperative, void (*kernel)(Parameters...),
                  Arguments... arguments) {
  cudaLaunchAttribute attribute = {};
  attribute.id = cudaLaunchAttributeCooperative;
  attribute.val.cooperative = cooperative;
  cudaLaunchConfig_t config = {};
  config.gridDim = grid;
  config.blockDim = block;
  config.dynamicSmemBytes = shared_bytes;
  config.attrs = &attribute;
  config.numAttrs = 1;
  return cudaLaunchKernelEx(&config, kernel, arguments...);
}

template <class Body>
std::string error_of(Body body) {
  try {
    body();
  } catch (const KernelError& error) {
    return error.what();
  }
  return "no error";
}

bool starts_with(const std::string& text, const char* beginning) { return text.rfind(beginning, 0) == 0; }

__global__ void write_coordinates(uint64_t* out) {
  const uint64_t block = blockIdx.x + gridDim.x * (blockIdx.y + uint64_t(gridDim.y) * blockIdx.z);
  const uint64_t thread = threadIdx.x + blockDim.x * (threadIdx.y + uint64_t(blockDim.y) * threadIdx.z);
  out[block * blockDim.x * blockDim.y * blockDim.z + thread] += block * 1000 + thread;
}

// Sums 0..n-1 of a block in halves.
__global__ void block_sum(int* out) {
  int* part = static_cast<int*>(cuda_on_host::shared_memory());
  part[threadIdx.x] = int(threadIdx.x);
  for (unsigned half = blockDim.x / 2; half; half /= 2) {
    __syncthreads();
    if (threadIdx.x < half) part[threadIdx.x] += part[threadIdx.x + half];
  }
  if (threadIdx.x == 0) out[blockIdx.x] = part[0];
}

__global__ void read_shared(unsigned* out) {
  out[threadIdx.x] = *static_cast<unsigned*>(cuda_on_host::shared_memory());
}

__global__ void warp_functions(int* out) {
  const int lane = int(threadIdx.x % 32), value = int(threadIdx.x) * 10;
  int* mine = out + threadIdx.x * 8;
  mine[0] = __shfl_sync(~0u, value, 3);
  mine[1] = __shfl_sync(~0u, value, lane + 1, 8);
  mine[2] = __shfl_xor_sync(~0u, value, 5);
  mine[3] = __shfl_up_sync(~0u, value, 2, 16);
  mine[4] = __shfl_down_sync(~0u, value, 2, 16);
  mine[5] = int(__ballot_sync(~0u, lane % 3 == 0));
  mine[6] = __all_sync(~0u, lane < 32) * 2 + __any_sync(~0u, lane == 40);
  mine[7] = lane < 16 ? __shfl_sync(0xffffu, value, 15) : __shfl_sync(0xffff0000u, value, 16);
}

__global__ void shuffle_double(double* out) { out[threadIdx.x] = __shfl_xor_sync(~0u, threadIdx.x + 0.5, 1); }

// Whole numbers, so that any order of additions gives the same.
int element_of_a(int row, int k) { return (row * 5 + k * 3) % 11 - 4; }
int element_of_b(int k, int column) { return (k * 7 + column) % 13 - 6; }

// Fragments as the tables of PTX (mma.m16n8k16, 16-bit types) have them: a0..a7, b0..b3, c0..c3.
__global__ void multiply_matrices(float* out) {
  const int lane = int(threadIdx.x) % 32, group = lane / 4, in_group = lane % 4;
  const int rows[8] = {group, group, group + 8, group + 8, group, group, group + 8, group + 8};
  uint32_t a[4] = {}, b[2] = {};
  for (int i = 0; i < 8; ++i) {
    const int k = in_group * 2 + (i & 1) + (i < 4 ? 0 : 8);
    a[i / 2] |= uint32_t(uint16_t(element_of_a(rows[i], k))) << i % 2 * 16;
  }
  for (int i = 0; i < 4; ++i) {
    const int k = in_group * 2 + (i & 1) + (i < 2 ? 0 : 8);
    b[i / 2] |= uint32_t(uint16_t(element_of_b(k, group))) << i % 2 * 16;
  }
  float sum[4] = {0.5, 0.5, 0.5, 0.5};
  cuda_on_host::multiply_m16n8k16(a, b, sum, [](uint16_t bits) { return float(int16_t(bits)); });
  for (int i = 0; i < 4; ++i) out[threadIdx.x / 32 * 128 + rows[2 * (i / 2)] * 8 + in_group * 2 + i % 2] = sum[i];
}

// Block k waits for block k - 1, adds one to what it left, and passes it on.
__global__ void relay(int* flag, int* value) {
  const int k = int(blockIdx.x);
  if (k > 0)
    while (cuda_on_host::load_acquire(flag + k - 1) == 0) cuda_on_host::sleep_until_store();
  if (threadIdx.x == 0) value[k] = k > 0 ? value[k - 1] + 1 : 1;
  __syncthreads();
  if (threadIdx.x == 0) cuda_on_host::store_release(flag + k, 1);
}

// As relay, but towards block 0, and the lanes agree by vote that all of them have seen the flag.
__global__ void relay_backwards_by_vote(int* flag, int* value) {
  const int k = int(blockIdx.x), last = int(gridDim.x) - 1;
  while (k < last && !__all_sync(~0u, cuda_on_host::load_acquire(flag + k + 1))) cuda_on_host::sleep_until_store();
  if (threadIdx.x == 0) {
    value[k] = k < last ? value[k + 1] + 1 : 1;
    cuda_on_host::store_release(flag + k, 1);
  }
}

__global__ void leave_before_the_barrier() {
  if (threadIdx.x > 0) __syncthreads();
}

__global__ void barrier_against_shuffle() {
  if (threadIdx.x < 16)
    __syncthreads();
  else
    __syncwarp();
}

__global__ void lanes_that_do_not_exist() { __syncwarp(); }

}  // namespace

TEST(every_thread_runs_once_with_its_coordinates) {
  for (const auto& schedule : schedules) {
    cuda_on_host::set_schedule(schedule);
    const dim3 grid(3, 2, 2), block(4, 3, 2);
    std::vector<uint64_t> out(12 * 24, 0);
    CHECK(start(grid, block, 0, false, write_coordinates, out.data()) == cudaSuccess);
    for (size_t k = 0; k < out.size(); ++k) CHECK(out[k] == k / 24 * 1000 + k % 24);
  }
}

TEST(shared_memory_belongs_to_the_block_and_barriers_order_it) {
  for (const auto& schedule : schedules)
    for (bool cooperative : {false, true}) {
      cuda_on_host::set_schedule(schedule);
      std::vector<int> out(5);
      CHECK(start(5, 64, 64 * sizeof(int), cooperative, block_sum, out.data()) == cudaSuccess);
      CHECK(std::count(out.begin(), out.end(), 63 * 64 / 2) == 5);
    }
}

TEST(shared_memory_is_poisoned) {
  std::vector<unsigned> out(3);
  start(1, 3, sizeof(unsigned), false, read_shared, out.data());
  CHECK(std::count(out.begin(), out.end(), ~0u) == 3);
}

TEST(warp_functions_follow_their_definition) {
  for (const auto& schedule : schedules) {
    cuda_on_host::set_schedule(schedule);
    std::vector<int> out(64 * 8);
    start(1, 64, 0, false, warp_functions, out.data());
    for (int thread = 0; thread < 64; ++thread) {
      const int lane = thread % 32, warp = thread - lane;
      const int* mine = &out[size_t(thread) * 8];
      CHECK(mine[0] == (warp + 3) * 10);
      CHECK(mine[1] == (thread / 8 * 8 + (lane + 1) % 8) * 10);
      CHECK(mine[2] == (warp + (lane ^ 5)) * 10);
      CHECK(mine[3] == (lane % 16 >= 2 ? thread - 2 : thread) * 10);
      CHECK(mine[4] == (lane % 16 + 2 < 16 ? thread + 2 : thread) * 10);
      CHECK(unsigned(mine[5]) == 0x49249249u);
      CHECK(mine[6] == 2);
      CHECK(mine[7] == (lane < 16 ? warp + 15 : warp + 16) * 10);
    }
    std::vector<double> doubles(32);
    start(1, 32, 0, false, shuffle_double, doubles.data());
    for (int lane = 0; lane < 32; ++lane) CHECK(doubles[size_t(lane)] == (lane ^ 1) + 0.5);
  }
}

TEST(warps_multiply_matrices) {
  for (const auto& schedule : schedules) {
    cuda_on_host::set_schedule(schedule);
    std::vector<float> out(2 * 128);
    start(1, 64, 0, false, multiply_matrices, out.data());
    for (int n = 0; n < 256; ++n) {
      float expected = 0.5;
      for (int k = 0; k < 16; ++k) expected += float(element_of_a(n % 128 / 8, k) * element_of_b(k, n % 8));
      CHECK(out[size_t(n)] == expected);
    }
  }
}

TEST(resident_blocks_pass_flags) {
  for (const auto& schedule : schedules)
    for (auto kernel : {relay, relay_backwards_by_vote}) {
      cuda_on_host::set_schedule(schedule);
      const int blocks = 7;
      std::vector<int> flag(blocks, 0), value(blocks, 0);
      start(blocks, 32, 0, true, kernel, flag.data(), value.data());
      std::sort(value.begin(), value.end());
      for (int k = 0; k < blocks; ++k) CHECK(value[size_t(k)] == k + 1);
    }
}

TEST(a_wait_for_a_block_that_is_not_resident_is_a_deadlock) {
  cuda_on_host::set_schedule({});
  std::vector<int> flag(3, 0), value(3, 0);
  const std::string error =
      error_of([&] { start(3, 32, 0, false, relay_backwards_by_vote, flag.data(), value.data()); });
  CHECK_ABOUT(starts_with(error, "deadlock; waiting for a flag: 32"), error);
}

TEST(barriers_that_cannot_be_met_are_reported) {
  const std::string missed = error_of([] { start(1, 32, 0, false, leave_before_the_barrier); });
  CHECK_ABOUT(starts_with(missed, "__syncthreads() is not reached by all"), missed);
  const std::string mixed = error_of([] { start(1, 32, 0, false, barrier_against_shuffle); });
  CHECK_ABOUT(starts_with(mixed, "deadlock; waiting at __syncthreads(): 16"), mixed);
  const std::string outside = error_of([] { start(1, 20, 0, false, lanes_that_do_not_exist); });
  CHECK_ABOUT(starts_with(outside, "a warp's mask names lanes outside"), outside);
}

TEST(launches_the_driver_would_refuse_are_refused) {
  std::vector<uint64_t> out(1);
  CHECK(start(0, 32, 0, false, write_coordinates, out.data()) == cudaErrorInvalidConfiguration);
  CHECK(start(1, 1025, 0, false, write_coordinates, out.data()) == cudaErrorInvalidConfiguration);
  CHECK(start(dim3(1, 65536), 1, 0, false, write_coordinates, out.data()) == cudaErrorInvalidConfiguration);
  CHECK(start(1, 1, 48 * 1024 + 1, false, write_coordinates, out.data()) == cudaErrorInvalidValue);
  cuda_on_host::fail_next_launch(cudaErrorLaunchFailure);
  CHECK(start(1, 1, 0, false, write_coordinates, out.data()) == cudaErrorLaunchFailure);
  CHECK(start(1, 1, 0, false, write_coordinates, out.data()) == cudaSuccess);
}

TEST_MAIN
