// Which schedule a problem gets on the CPU, and how its work is shared out.
#pragma once
#include "core/cpu/isa.h"
#include "core/cpu/partition.h"
#include "core/plan.h"

namespace resblock::cpu {

enum class Schedule { batched, layerwise, wavefront };
constexpr const char* schedule_names[] = {"batched", "layerwise", "wavefront"};

struct Machine {
  Isa isa;
  int64_t threads;
};

// Where sequences are cut into pieces, idle lanes save at most as much as busy ones.
constexpr int64_t most_saved_of_pieces = 2;

using Request = resblock::Request<Schedule>;
using Plan = resblock::Plan<Schedule, Partition>;
using Training = resblock::Training<Plan>;

// Whether a call whose tensors are stored in bfloat16 gives its matrices of weights to the kernels so.
bool multiplies_bfloat16(const Machine& machine, const Request& request);

// Both throw std::invalid_argument where the schedule that is asked for does not take the request.
template <class A>
Plan plan_inference(const Machine& machine, const Request& request);
template <class A>
Training plan_training(const Machine& machine, const Request& request);

}  // namespace resblock::cpu
