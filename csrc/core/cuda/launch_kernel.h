// How kernels are launched: on the caller's stream, and with what the driver says handed back.
#pragma once
#include <cuda_runtime.h>

#include "core/cuda/context.h"
#include "core/cuda/plan.h"

namespace resblock::cuda {

struct Shape {
  int64_t blocks;
  int warps;             // of a block
  int64_t shared_bytes;  // of a block
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
  config.dynamicSmemBytes = size_t(shape.shared_bytes);
  config.stream = static_cast<cudaStream_t>(context.stream);
  config.attrs = &attribute;
  config.numAttrs = 1;
  const cudaError_t error = allow_shared(reinterpret_cast<const void*>(kernel), config.dynamicSmemBytes);
  if (error != cudaSuccess) return message(error);
  return message(cudaLaunchKernelEx(&config, kernel, arguments...));
}

}  // namespace resblock::cuda
