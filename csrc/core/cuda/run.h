// Runs what was planned on a GPU. Nothing here synchronises with the host or allocates.
#pragma once
#include "core/cuda/context.h"
#include "core/cuda/plan.h"

namespace resblock::cuda {

// The current device, as the planner sees it.
Machine current_machine();

// The plan is one for the problem's sizes and type. Its workspace, and all pointers of the problem, are device memory;
// what the workspace holds does not matter. Null on success, else what went wrong.
template <class S>
const char* run(const Plan& plan, const Forward<S>& problem, const Context& context, void* workspace);
template <class S>
const char* run(const Training& plan, const Backward<S>& problem, const Context& context, void* workspace);

}  // namespace resblock::cuda
