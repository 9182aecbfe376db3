#include "core/cpu/plan.h"

#include <algorithm>

#include "core/cpu/workspace.h"

namespace resblock::cpu {
namespace {

int64_t ceil_divide(int64_t a, int64_t b) { return (a + b - 1) / b; }

// ---- batched

// Whether the batch goes into the lanes. Where it pays was measured: lanes must not idle, and in training the gradient
// of every weight is summed over lanes once per chunk of time, which grows with the square of the units.
bool pays_batched(const Sizes& s, bool training) {
  if (!training) return s.H <= 16 ? s.B >= least_batch : s.H <= 64 && s.B >= 8;
  if (s.H <= 12) return s.B >= least_batch && s.T > 1;
  const int64_t lanes = 16, idle = (lanes - s.B % lanes) % lanes;
  return s.H <= 64 && s.T >= 16 && s.B >= (s.H <= 16 ? 16 : 32) && 8 * idle <= s.B;
}

// Groups of tasks whose gradients are summed apart, bounded in number and in memory.
int64_t gradient_groups(const Sizes& s, int64_t tasks) {
  const int64_t most = 16, values = int64_t(1) << 24;
  const int64_t affordable = std::max<int64_t>(values / std::max<int64_t>(packed_size(s), 1), 1);
  return std::max<int64_t>(std::min({tasks, most, affordable}), 1);  // without sequences the gradients are zeros
}

template <class A>
int64_t lanes_of(const Machine& machine) {
  return vector_bytes(machine.isa) / int64_t(sizeof(A));
}

// Few sequences go into half a vector. A chunk of a layer, whose rows are as long as the lanes are many, stays in the
// first-level cache. Where there are fewer tiles than threads, and chunks enough to keep a row of segments busy,
// threads share the layers of a tile.
template <class A>
Partition batched_partition(const Machine& machine, const Sizes& s) {
  const int64_t lanes = lanes_of<A>(machine);
  Partition p;
  p.sequences = has_half_tiles(lanes) && s.B <= lanes / 2 ? lanes / 2 : lanes;
  p.blocks = ceil_divide(s.B, p.sequences);
  p.steps = std::clamp<int64_t>(s.T, 1, std::max<int64_t>(256 / p.sequences, 16));
  p.chunks = std::max<int64_t>(ceil_divide(s.T, p.steps), 1);
  p.groups = gradient_groups(s, p.blocks);
  if (p.blocks > 0 && p.blocks == p.groups && p.blocks < machine.threads)
    p.segments = std::clamp<int64_t>(std::min({ceil_divide(machine.threads, p.blocks), s.L / 2, p.chunks / 4}), 1,
                                     machine.threads);
  return p;
}

// ---- layerwise

Packing layerwise_packing(const Sizes& s, bool backward) {
  const int64_t rows = s.B * s.T, worth = std::min<int64_t>(48, backward ? 16 + s.H / 8 : s.H * s.H / 1024);
  if (rows < worth) return Packing::none;
  return s.H >= 256 && rows <= 512 ? Packing::by_layer : Packing::ahead;
}

// The sequences of a block share every load of the recurrent weights: the most where these do not fit into the
// second-level cache and come from further away at every step. A chunk is long where weights are read once for all its
// rows, and short in the backward pass, which reads what it wrote there several times. Smaller batches are split into
// `parts` for threads, but not far in wide layers: few rows leave the processor waiting for weights. A group's
// gradients cost a pass over an array as large as the weights, which its rows must be worth.
template <class A>
Partition layerwise_partition(const Sizes& s, bool backward, int64_t parts) {
  const int64_t second_level = int64_t(1) << 21, worth_group = 256;
  Partition p;
  p.far_weights = gates_of_cell * s.H * s.H * int64_t(sizeof(A)) > second_level;
  const int64_t most = p.far_weights ? 64 : backward ? 16 : 32, rows = backward ? 8 * most : 512;
  const int64_t least = s.H < 256 ? 4 : p.far_weights ? most : 16;
  p.packing = layerwise_packing(s, backward);
  if (p.packing == Packing::by_layer) {
    p.sequences = std::max<int64_t>(s.B, 1);
    p.steps = std::max<int64_t>(s.T, 1);
  } else {
    const int64_t wanted = std::clamp<int64_t>(ceil_divide(s.B, parts), least, most);
    p.sequences = std::max<int64_t>(ceil_divide(s.B, std::max<int64_t>(ceil_divide(s.B, wanted), 1)), 1);
    p.steps = std::clamp<int64_t>(s.T, 1, ceil_divide(rows, p.sequences));
  }
  p.blocks = ceil_divide(s.B, p.sequences);
  p.chunks = ceil_divide(s.T, p.steps);
  p.groups = gradient_groups(s, std::min(p.blocks, s.B * s.T / worth_group));
  return p;
}

// One worker, whose products all threads share, is worth it for a single task, or where layers are wide and there are
// fewer tasks than threads.
int64_t layerwise_workers(const Partition& p, int64_t threads, int64_t tasks) {
  return tasks <= 1 || (p.far_weights && tasks < threads) ? 1 : std::min(threads, tasks);
}

// ---- wavefront

template <class A>
Partition wavefront_partition(const Machine& machine, const WaveShape& shape, const Sizes& s) {
  Partition p;
  p.blocks = s.B;
  p.steps = 256;
  p.chunks = std::max<int64_t>(ceil_divide(s.T, p.steps), 1);
  p.segments = std::min(machine.threads, WavePairs(shape, s).count);
  return p;
}

// ---- the choice

template <class A>
bool takes_wavefront(const Machine& machine, const Request& r) {
  return !r.dropout && wave_shape(lanes_of<A>(machine), r.size.H).lanes;
}

template <class A>
Schedule inference_schedule(const Machine& machine, const Request& r) {
  const bool can = takes_wavefront<A>(machine, r);
  if (r.schedule == Schedule::wavefront && !can)
    throw impossible_schedule("wavefront", "calls without dropout, of layers as narrow as its vectors allow");
  if (r.schedule) return *r.schedule;
  if (can && r.size.B < least_batch) return Schedule::wavefront;
  return pays_batched(r.size, false) ? Schedule::batched : Schedule::layerwise;
}

Schedule training_schedule(const Request& r) {
  if (r.schedule == Schedule::wavefront)
    throw impossible_schedule("wavefront", "no training: it saves nothing for a backward pass");
  if (r.schedule) return *r.schedule;
  return pays_batched(r.size, true) ? Schedule::batched : Schedule::layerwise;
}

template <class A>
Plan plan_forward(const Machine& machine, const Sizes& s, Schedule schedule) {
  Plan plan = {schedule, {}, 0, 0};
  Partition& p = plan.partition;
  if (schedule == Schedule::batched) {
    p = batched_partition<A>(machine, s);
    p.workers = std::clamp<int64_t>(p.blocks, 1, machine.threads);
    p.groups = 1;
    plan.workspace = bytes_of<BatchedForwardArrays<A>>(s, p);
  } else if (schedule == Schedule::layerwise) {
    p = layerwise_partition<A>(s, false, machine.threads);
    p.workers = layerwise_workers(p, machine.threads, p.blocks);
    p.groups = 1;
    plan.workspace = bytes_of<LayerwiseForwardArrays<A>>(s, p);
  } else {
    const WaveShape shape = wave_shape(lanes_of<A>(machine), s.H);
    p = wavefront_partition<A>(machine, shape, s);
    plan.workspace = bytes_of<WavefrontArrays<A>>(shape, s, p);
  }
  return plan;
}

template <class A>
Plan plan_backward(const Machine& machine, const Sizes& s, Schedule schedule) {
  Plan plan = {schedule, {}, 0, 0};
  Partition& p = plan.partition;
  if (schedule == Schedule::batched) {
    p = batched_partition<A>(machine, s);
    p.workers = std::min(p.groups, machine.threads);
    plan.workspace = bytes_of<BatchedBackwardArrays<A>>(s, p);
  } else {
    const int64_t parts = 4;  // not the threads: what is summed apart rounds apart
    p = layerwise_partition<A>(s, true, parts);
    p.workers = layerwise_workers(p, machine.threads, p.groups);
    plan.workspace = bytes_of<LayerwiseBackwardArrays<A>>(s, p);
  }
  return plan;
}

}  // namespace

template <class A>
Plan plan_inference(const Machine& machine, const Request& r) {
  return plan_forward<A>(machine, r.size, inference_schedule<A>(machine, r));
}

template <class A>
Training plan_training(const Machine& machine, const Request& r) {
  const Schedule schedule = training_schedule(r);
  Training training = {plan_forward<A>(machine, r.size, schedule), plan_backward<A>(machine, r.size, schedule)};
  training.forward.saved = training.backward.saved = r.size.L * saved_per_layer(r.size) * int64_t(sizeof(A));
  return training;
}

#define RESBLOCK_INSTANTIATE(A)                                    \
  template Plan plan_inference<A>(const Machine&, const Request&); \
  template Training plan_training<A>(const Machine&, const Request&);
RESBLOCK_INSTANTIATE(float)
RESBLOCK_INSTANTIATE(double)

}  // namespace resblock::cpu
