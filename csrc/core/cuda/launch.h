// The CUDA entry points. Nothing here synchronises with the host or allocates: the caller hands in the workspace.
#pragma once
#include <stddef.h>

#include "core/problem.h"

namespace resblock::cuda {

// Bytes of device memory that the launch of the same problem wants.
template <class S>
size_t forward_workspace(const Forward<S>& problem);
template <class S>
size_t backward_workspace(const Backward<S>& problem);

// The schedules that the launches choose from.
inline const char* schedules() { return "serial"; }

// All pointers of the problem are device pointers. Null on success, else what went wrong.
template <class S>
const char* forward(const Forward<S>& problem, void* workspace, void* stream);
template <class S>
const char* backward(const Backward<S>& problem, void* workspace, void* stream);

}  // namespace resblock::cuda
