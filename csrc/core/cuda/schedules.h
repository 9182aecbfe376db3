// The schedules, each with what takes a problem through it as a plan for it says: null on success, else what went
// wrong.
#pragma once
#include "core/cuda/any_float.h"
#include "core/cuda/context.h"
#include "core/cuda/plan.h"

namespace resblock::cuda {

const char* general_forward(const Plan& plan, const Forward<double>& p, const Context& context, void* workspace);
const char* general_backward(const Plan& plan, const Backward<double>& p, const Context& context, void* workspace);

const char* serial_forward(const Plan& plan, const AnyForward& p, const Context& context, void* workspace);
const char* serial_backward(const Plan& plan, const AnyBackward& p, const Context& context, void* workspace);

const char* wavefront_forward(const Plan& plan, const AnyForward& p, const Context& context, void* workspace);
const char* wavefront_backward(const Plan& plan, const AnyBackward& p, const Context& context, void* workspace);

template <class S>
const char* wide_forward(const Plan& plan, const Forward<S>& p, const Context& context, void* workspace);
template <class S>
const char* wide_backward(const Plan& plan, const Backward<S>& p, const Context& context, void* workspace);

}  // namespace resblock::cuda
