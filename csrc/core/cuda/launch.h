// The CUDA entry points. Nothing here synchronises with the host or allocates: the caller hands in the workspace.
#pragma once
#include <stddef.h>

#include "core/problem.h"

namespace resblock::cuda {

// What the kernels take from the caller besides the problem.
struct Context {
  void* stream = nullptr;
  const int64_t* seed = nullptr;  // of the dropout mask, in device memory; or null: that of the options
};

// Bytes of device memory, on a boundary of 16, that the launch of the same problem wants.
template <class S>
size_t forward_workspace(const Forward<S>& problem);
template <class S>
size_t backward_workspace(const Backward<S>& problem);

// The schedules that the launches choose from by size, or RESBLOCK_CUDA_SCHEDULE for them. A schedule that cannot take
// a problem leaves it to the next one: wavefront to serial, serial to general.
const char* schedules();

// All pointers of the problem are device pointers. Null on success, else what went wrong.
template <class S>
const char* forward(const Forward<S>& problem, const Context& context, void* workspace);
template <class S>
const char* backward(const Backward<S>& problem, const Context& context, void* workspace);

}  // namespace resblock::cuda
