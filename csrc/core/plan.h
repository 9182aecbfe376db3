// What a plan is, on every device: the choice of a schedule and all that follows from it, as a value. A pure function
// of the machine and a request makes it, so that it can be printed, compared and tested as a table; nothing is
// allocated or run there. Each device (cpu/plan.h, cuda/plan.h) has
//
//     enum class Schedule;         its schedules, whose names stand in `schedule_names` in the same order
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
#include <stdexcept>
#include <string>

#include "core/problem.h"

namespace resblock {

template <class Schedule>
struct Request {
  Sizes size;
  bool dropout = false;              // between layers
  std::optional<Schedule> schedule;  // the one wanted; else the planner's choice by size
  const int64_t* lengths = nullptr;  // as Inputs has them; a GPU's planner knows the sizes alone
  int64_t first_step = 0;
  bool bfloat16 = false;  // whether Inputs::bfloat16_weights are given
  bool pieces = false;    // whether Inputs::pieces are: sizes and lengths are theirs
  bool cells = false;     // whether Forward::cells are wanted
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

// The schedule asked for by name, if one is.
template <class Schedule, size_t count>
std::optional<Schedule> find_schedule(const std::optional<std::string>& name, const char* const (&names)[count]) {
  if (!name) return std::nullopt;
  std::string all;
  for (size_t k = 0; k < count; ++k) {
    if (*name == names[k]) return Schedule(k);
    all += std::string(k ? ", " : "") + names[k];
  }
  throw std::invalid_argument("schedule is '" + *name + "', expected one of: " + all);
}

// For one that does not take the request: `takes` says what it takes.
inline std::invalid_argument impossible_schedule(const char* name, const char* takes) {
  return std::invalid_argument(std::string("schedule is '") + name + "', which takes " + takes);
}

}  // namespace resblock
