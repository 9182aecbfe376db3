#include <map>

#include "tests/cuda_on_host.h"

namespace cuda_on_host {
namespace {
cudaError_t next_launch = cudaSuccess;
Device device;

constexpr size_t shared_without_asking = 48 * 1024;
constexpr size_t shared_at_most = 163 * 1024, shared_of_multiprocessor = 164 * 1024;  // of an sm_80
std::map<const void*, size_t>& shared_limits() {
  static std::map<const void*, size_t> of_kernel;
  return of_kernel;
}
}  // namespace

void set_device(Device wanted) { device = wanted; }

void fail_next_launch(cudaError_t error) { next_launch = error; }

cudaError_t check(const cudaLaunchConfig_t& config, const void* kernel) {
  const cudaError_t injected = next_launch;
  next_launch = cudaSuccess;
  if (injected != cudaSuccess) return injected;
  const dim3 &grid = config.gridDim, &block = config.blockDim;
  const bool empty = !grid.x || !grid.y || !grid.z || !block.x || !block.y || !block.z;
  const bool large = grid.x > 0x7fffffffu || grid.y > 65535 || grid.z > 65535 || block.x > 1024 || block.y > 1024 ||
                     block.z > 64 || block.x * block.y * block.z > 1024;
  if (empty || large) return cudaErrorInvalidConfiguration;
  const auto found = shared_limits().find(kernel);
  const size_t limit = found == shared_limits().end() ? shared_without_asking : found->second;
  if (config.dynamicSmemBytes > limit) return cudaErrorInvalidValue;
  const int64_t blocks = int64_t(grid.x) * grid.y * grid.z;
  if (is_cooperative(config) && blocks > int64_t(device.multiprocessors) * device.blocks_each)
    return cudaErrorCooperativeLaunchTooLarge;
  return cudaSuccess;
}

}  // namespace cuda_on_host

using cuda_on_host::device;

extern "C" cudaError_t cudaFuncSetAttribute(const void* kernel, cudaFuncAttribute attribute, int value) {
  if (attribute != cudaFuncAttributeMaxDynamicSharedMemorySize || size_t(value) > cuda_on_host::shared_at_most)
    return cudaErrorInvalidValue;
  cuda_on_host::shared_limits()[kernel] = size_t(value);
  return cudaSuccess;
}

extern "C" cudaError_t cudaGetDevice(int* number) {
  *number = 0;
  return cudaSuccess;
}

extern "C" cudaError_t cudaDeviceGetAttribute(int* value, cudaDeviceAttr attribute, int) {
  switch (attribute) {
    case cudaDevAttrCooperativeLaunch:
      *value = device.cooperative;
      return cudaSuccess;
    case cudaDevAttrMultiProcessorCount:
      *value = device.multiprocessors;
      return cudaSuccess;
    case cudaDevAttrMaxBlocksPerMultiprocessor:
      *value = device.blocks_each;
      return cudaSuccess;
    case cudaDevAttrMaxSharedMemoryPerMultiprocessor:
      *value = int(cuda_on_host::shared_of_multiprocessor);
      return cudaSuccess;
    case cudaDevAttrMaxSharedMemoryPerBlockOptin:
      *value = int(cuda_on_host::shared_at_most);
      return cudaSuccess;
    default:
      return cudaErrorInvalidValue;
  }
}

extern "C" const char* cudaGetErrorString(cudaError_t error) {
  switch (error) {
    case cudaSuccess:
      return "no error";
    case cudaErrorInvalidConfiguration:
      return "invalid configuration argument";
    case cudaErrorCooperativeLaunchTooLarge:
      return "too many blocks in cooperative launch";
    case cudaErrorInvalidValue:
      return "invalid argument";
    default:
      return "unspecified launch failure";
  }
}
