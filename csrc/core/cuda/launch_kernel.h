// How kernels are launched: on the caller's stream, and with what the driver says handed back.
#pragma once
#include <cuda_runtime.h>

#include "core/cuda/device.h"
#include "core/cuda/launch.h"

namespace resblock::cuda {

struct Shape {
  int64_t blocks;
  int warps;              // of a block
  int64_t shared_floats;  // of a block
  bool cooperative = false;
};

inline const char* message(cudaError_t error) { return error == cudaSuccess ? nullptr : cudaGetErrorString(error); }

// Lets a kernel have more shared memory than it gets without asking: as much as the device has, so that no launch takes
// away what another one needs.
inline cudaError_t allow_shared(const void* kernel, size_t bytes) {
  const size_t without_asking = 48 * 1024;
  if (bytes <= without_asking) return cudaSuccess;
  int device = 0, most = 0;
  cudaError_t error = cudaGetDevice(&device);
  if (error == cudaSuccess) error = cudaDeviceGetAttribute(&most, cudaDevAttrMaxSharedMemoryPerBlockOptin, device);
  if (error == cudaSuccess && bytes > size_t(most)) error = cudaErrorInvalidValue;
  if (error != cudaSuccess) return error;
  return cudaFuncSetAttribute(kernel, cudaFuncAttributeMaxDynamicSharedMemorySize, most);
}

template <class... Parameters, class... Arguments>
const char* launch_kernel(const Context& context, const Shape& shape, void (*kernel)(Parameters...),
                          const Arguments&... arguments) {
  cudaLaunchAttribute attribute = {};
  attribute.id = cudaLaunchAttributeCooperative;
  attribute.val.cooperative = shape.cooperative;
  cudaLaunchConfig_t config = {};
  config.gridDim = dim3(unsigned(shape.blocks));
  config.blockDim = dim3(unsigned(shape.warps * warp_lanes));
  config.dynamicSmemBytes = size_t(shape.shared_floats) * sizeof(float);
  config.stream = static_cast<cudaStream_t>(context.stream);
  config.attrs = &attribute;
  config.numAttrs = 1;
  const cudaError_t error = allow_shared(reinterpret_cast<const void*>(kernel), config.dynamicSmemBytes);
  if (error != cudaSuccess) return message(error);
  return message(cudaLaunchKernelEx(&config, kernel, arguments...));
}

// Of the current device; 1 if it will not say.
inline int multiprocessors() {
  int device = 0, count = 1;
  const bool known = cudaGetDevice(&device) == cudaSuccess &&
                     cudaDeviceGetAttribute(&count, cudaDevAttrMultiProcessorCount, device) == cudaSuccess;
  return known ? count : 1;
}

// Blocks of a kernel that the current device can have resident together; 0 if it cannot launch them cooperatively.
inline int64_t resident_blocks(const void* kernel, int warps, int64_t shared_floats) {
  int device = 0, cooperative = 0, each = 0;
  const size_t bytes = size_t(shared_floats) * sizeof(float);
  const bool known =
      cudaGetDevice(&device) == cudaSuccess &&
      cudaDeviceGetAttribute(&cooperative, cudaDevAttrCooperativeLaunch, device) == cudaSuccess &&
      allow_shared(kernel, bytes) == cudaSuccess &&
      cudaOccupancyMaxActiveBlocksPerMultiprocessor(&each, kernel, warps * warp_lanes, bytes) == cudaSuccess;
  if (!known) cudaGetLastError();  // a refusal is an answer, not an error
  return known && cooperative ? int64_t(each) * multiprocessors() : 0;
}

}  // namespace resblock::cuda
