#include "core/cuda/run.h"

#include <cuda_runtime.h>

#include <type_traits>

#include "core/cuda/schedules.h"

namespace resblock::cuda {
namespace {

// 0 if the device will not say.
int64_t attribute(cudaDeviceAttr which) {
  int device = 0, value = 0;
  const bool known =
      cudaGetDevice(&device) == cudaSuccess && cudaDeviceGetAttribute(&value, which, device) == cudaSuccess;
  return known ? value : 0;
}

constexpr const char* another_type = "residual_lstm: the plan is one for another type";

}  // namespace

Machine current_machine() {
  return {attribute(cudaDevAttrMultiProcessorCount), attribute(cudaDevAttrMaxBlocksPerMultiprocessor),
          attribute(cudaDevAttrMaxSharedMemoryPerMultiprocessor), attribute(cudaDevAttrMaxSharedMemoryPerBlockOptin),
          attribute(cudaDevAttrCooperativeLaunch) != 0};
}

template <class S>
const char* run(const Plan& plan, const Forward<S>& p, const Context& context, void* workspace) {
  if (plan.schedule == Schedule::wide) return wide_forward(plan, p, context, workspace);
  if constexpr (std::is_same_v<S, double>) {
    if (plan.schedule == Schedule::general) return general_forward(plan, p, context, workspace);
  } else {
    if (plan.schedule == Schedule::serial) return serial_forward(plan, any_float(p), context, workspace);
    if (plan.schedule == Schedule::wavefront) return wavefront_forward(plan, any_float(p), context, workspace);
  }
  return another_type;
}

template <class S>
const char* run(const Training& training, const Backward<S>& p, const Context& context, void* workspace) {
  const Plan& plan = training.backward;
  if (plan.schedule == Schedule::wide) return wide_backward(plan, p, context, workspace);
  if constexpr (std::is_same_v<S, double>) {
    if (plan.schedule == Schedule::general) return general_backward(plan, p, context, workspace);
  } else {
    if (plan.schedule == Schedule::serial) return serial_backward(plan, any_float(p), context, workspace);
    if (plan.schedule == Schedule::wavefront) return wavefront_backward(plan, any_float(p), context, workspace);
  }
  return another_type;
}

#define RESBLOCK_INSTANTIATE(S)                                                    \
  template const char* run(const Plan&, const Forward<S>&, const Context&, void*); \
  template const char* run(const Training&, const Backward<S>&, const Context&, void*);
RESBLOCK_INSTANTIATE(float)
RESBLOCK_INSTANTIATE(double)
RESBLOCK_INSTANTIATE(bfloat16)
RESBLOCK_INSTANTIATE(float16)

}  // namespace resblock::cuda
