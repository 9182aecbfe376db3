// Which schedule a problem gets on a GPU, and how its work is shared out. No GPU is needed to plan.
#pragma once
#include "core/plan.h"

namespace resblock::cuda {

constexpr int warp_lanes = 32;

enum class Schedule { general, serial, wavefront, wide };
constexpr const char* schedule_names[] = {"general", "serial", "wavefront", "wide"};

// What limits how many blocks of a kernel a device has resident together.
struct Machine {
  int64_t multiprocessors;
  int64_t resident_blocks;     // of a multiprocessor, at most
  int64_t shared_bytes;        // of a multiprocessor
  int64_t block_shared_bytes;  // of a block, at most
  bool cooperative;            // whether it has the blocks of a launch resident together
};

// What is planned for where there is no GPU.
constexpr Machine h200 = {132, 32, 228 * 1024, 227 * 1024, true};

// How a schedule shares out its work.
struct Partition {
  int64_t blocks = 0;  // of the kernel that runs the cells
  // The serial schedule and the wavefront.
  int lanes = 0;      // of a warp, for the units of a sequence: 8, 16 or 32
  int steps = 0;      // of a chunk of time
  int64_t pipes = 0;  // of the wavefront, of a block per layer each
  // The wide schedule, whose blocks = unit_blocks * sequence_blocks; none where layers run step by step.
  int64_t units = 0;            // of a block
  int64_t unit_blocks = 0;      // among which the units of a layer are shared out
  int64_t sequence_blocks = 0;  // among which the sequences are
};

using Request = resblock::Request<Schedule>;
using Plan = resblock::Plan<Schedule, Partition>;
using Training = resblock::Training<Plan>;

// Both throw std::invalid_argument where the schedule that is asked for does not take the request.
template <class S>
Plan plan_inference(const Machine& machine, const Request& request);
template <class S>
Training plan_training(const Machine& machine, const Request& request);

}  // namespace resblock::cuda
