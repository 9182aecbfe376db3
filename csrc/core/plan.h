// What a plan is, on every device: the choice of a schedule and all that follows from it, as a value. A pure function
// of the machine and a request makes it, so that it can be printed, compared and tested as a table; nothing is allocated
// or run there. Each device (cpu/plan.h, cuda/plan.h) has
//
//     enum class Schedule;         its schedules, with name(Schedule) and schedules()
//     struct Partition;            one for all its schedules: how the work is shared out, plain numbers
//     struct Machine;              what is known of it before anything runs; a value, so that a test can make one up
//     using Plan = resblock::Plan<Schedule, Partition>;
//     using Training = resblock::Training<Plan>;
//
//     template <class S> Plan plan_inference(const Machine&, const Request<Schedule>&);
//     template <class S> Training plan_training(const Machine&, const Request<Schedule>&);
//
//     run(const Plan&, const Forward<S>&, ..., void* workspace);
//     run(const Training&, const Backward<S>&, ..., void* workspace);
//
// where the caller owns the workspace.
#pragma once
#include <optional>

#include "core/problem.h"

namespace resblock {

template <class Schedule>
struct Request {
  Sizes size;
  bool dropout = false;              // between layers
  std::optional<Schedule> schedule;  // the one wanted; else the planner's choice by size
};

template <class Schedule, class Partition>
struct Plan {
  Schedule schedule;
  Partition partition;
  int64_t workspace;  // bytes, on a boundary of 64 on the CPU and of 16 on a GPU
  int64_t saved;      // bytes of saved activations; 0 in inference
};

// A training call's two passes. The backward pass reads what the forward pass saved and as it saved it: both come from
// one decision, and nothing makes or runs a plan of the backward pass alone.
template <class Plan>
struct Training {
  Plan forward, backward;
};

// A schedule that was asked for does not take the request. The message names it and says what it takes.
struct ImpossibleSchedule {
  const char* message;
};

}  // namespace resblock
