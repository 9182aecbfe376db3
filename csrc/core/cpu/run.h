// Runs what was planned on the CPU.
#pragma once
#include "core/cpu/parallel.h"
#include "core/cpu/plan.h"

namespace resblock::cpu {

// The plan is one for this processor and the problem's sizes. The workspace is as large as it says and begins at a
// cache line; what it holds does not matter.
template <class A>
void run(const Plan& plan, const Forward<A>& problem, const Parallel& parallel, void* workspace);
template <class A>
void run(const Training& plan, const Backward<A>& problem, const Parallel& parallel, void* workspace);

}  // namespace resblock::cpu
