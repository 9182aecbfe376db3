#include "tests/cuda_on_host.h"

namespace cuda_on_host {
namespace {
cudaError_t next_launch = cudaSuccess;
}

void fail_next_launch(cudaError_t error) { next_launch = error; }

cudaError_t check(const cudaLaunchConfig_t& config) {
  const cudaError_t injected = next_launch;
  next_launch = cudaSuccess;
  if (injected != cudaSuccess) return injected;
  const dim3 &grid = config.gridDim, &block = config.blockDim;
  const bool empty = !grid.x || !grid.y || !grid.z || !block.x || !block.y || !block.z;
  const bool large = grid.x > 0x7fffffffu || grid.y > 65535 || grid.z > 65535 || block.x > 1024 || block.y > 1024 ||
                     block.z > 64 || block.x * block.y * block.z > 1024;
  if (empty || large) return cudaErrorInvalidConfiguration;
  // More needs cudaFuncSetAttribute, which no kernel here calls.
  return config.dynamicSmemBytes > 48 * 1024 ? cudaErrorInvalidValue : cudaSuccess;
}

}  // namespace cuda_on_host

extern "C" const char* cudaGetErrorString(cudaError_t error) {
  switch (error) {
    case cudaSuccess:
      return "no error";
    case cudaErrorInvalidConfiguration:
      return "invalid configuration argument";
    case cudaErrorInvalidValue:
      return "invalid argument";
    default:
      return "unspecified launch failure";
  }
}
