#include "core/cuda/plan.h"

#include <algorithm>
#include <type_traits>

#include "core/cuda/general.h"
#include "core/cuda/serial.h"
#include "core/cuda/wavefront.h"
#include "core/cuda/wide.h"

namespace resblock::cuda {
namespace {

// Blocks that the device has resident together, each with that much shared memory, where the registers of a
// multiprocessor have room for `by_registers`.
int64_t resident_blocks(const Machine& machine, int64_t by_registers, int64_t shared_bytes) {
  const int64_t reserved = 1024;  // of shared memory, with each block, by the driver
  if (!machine.cooperative || shared_bytes > machine.block_shared_bytes) return 0;
  const int64_t by_shared = machine.shared_bytes / (shared_bytes + reserved);
  return machine.multiprocessors * std::min({machine.resident_blocks, by_registers, by_shared});
}

bool is_empty(const Sizes& s) { return s.T == 0 || s.B == 0; }

template <class Workspace>
Plan plan_with(Schedule schedule, const Sizes& s, const Partition& partition) {
  return {schedule, partition, bytes_of<Workspace>(s, partition), 0};
}

// ---- narrow layers

template <int G>
Partition serial_partition(int64_t blocks) {
  Partition partition;
  partition.blocks = blocks;
  partition.lanes = G;
  partition.steps = serial_steps;
  return partition;
}

// As many pipes as the device can have resident; none if it is not even one, or if the inputs take too many tiles.
template <int G>
Partition wavefront_partition(const Sizes& s, int64_t resident) {
  Partition partition;
  if (is_empty(s) || Packed<G>::tiles(s, 0) > wavefront_most_tiles) return partition;
  partition.pipes = std::min(bundles<G>(s), resident / s.L);
  partition.blocks = partition.pipes * s.L;
  partition.lanes = G;
  partition.steps = wavefront_steps(s);
  return partition;
}

template <int G>
Partition wavefront_forward_partition(const Machine& machine, const Sizes& s) {
  const int64_t shared = bytes_of<WavefrontForwardRows>(wavefront_steps(s));
  return wavefront_partition<G>(s, resident_blocks(machine, wavefront_forward_resident(G), shared));
}

template <int G>
Partition wavefront_backward_partition(const Machine& machine, const Sizes& s) {
  const int64_t shared = bytes_of<WavefrontBackwardRows>(wavefront_steps(s), Packed<G>::tiles(s, 0));
  return wavefront_partition<G>(s, resident_blocks(machine, wavefront_backward_resident(G), shared));
}

// Steps of a cell that follow one another, of which a warp of either schedule takes about as long for one.
template <int G>
int64_t serial_length(const Sizes& s) {
  const int64_t warps = serial_warps * serial_most_blocks;
  return (bundles<G>(s) + warps - 1) / warps * s.L * s.T;
}

template <int G>
int64_t wavefront_length(const Sizes& s, const Partition& wavefront) {
  return (bundles<G>(s) + wavefront.pipes - 1) / wavefront.pipes * s.T + 2 * s.L * wavefront.steps;
}

template <int G>
bool takes_wavefront(const Request& request, const Partition& wavefront) {
  if (request.schedule == Schedule::wavefront && wavefront.pipes == 0)
    throw impossible_schedule("wavefront",
                              "layers that the device can have resident together, of at least one step and sequence, "
                              "and at most 8 inputs for each lane of a unit");
  if (request.schedule) return request.schedule == Schedule::wavefront;
  return wavefront.pipes > 0 && wavefront_length<G>(request.size, wavefront) < serial_length<G>(request.size);
}

Plan plan_narrow_forward(const Machine& machine, const Request& request, int lanes) {
  return with_lanes(lanes, [&](auto G) {
    const Sizes& s = request.size;
    const Partition wavefront = wavefront_forward_partition<G>(machine, s);
    if (takes_wavefront<G>(request, wavefront))
      return plan_with<WavefrontForwardWorkspace<G>>(Schedule::wavefront, s, wavefront);
    return plan_with<SerialForwardWorkspace<G>>(Schedule::serial, s, serial_partition<G>(serial_blocks<G>(s)));
  });
}

// Both schedules save alike, so that each direction chooses on its own.
Plan plan_narrow_backward(const Machine& machine, const Request& request, int lanes) {
  return with_lanes(lanes, [&](auto G) {
    const Sizes& s = request.size;
    const Partition wavefront = wavefront_backward_partition<G>(machine, s);
    if (takes_wavefront<G>(request, wavefront))
      return plan_with<WavefrontBackwardWorkspace<G>>(Schedule::wavefront, s, wavefront);
    return plan_with<SerialBackwardWorkspace<G>>(Schedule::serial, s,
                                                 serial_partition<G>(serial_backward_blocks<G>(s)));
  });
}

int lanes_for(const Sizes& s) { return s.H <= 8 ? 8 : s.H <= 16 ? 16 : 32; }

// ---- wide layers

// Each step of each layer has a number of its own.
bool flags_can_count(const Sizes& s) { return s.L * (s.T + 1) < int64_t(1) << 31; }

// The fewest units for each block, in groups, with which all blocks are resident; and then as many groups of sequences
// side by side as there is room for. No blocks: the layers run step by step.
template <class Shared>
Partition wide_partition(const Machine& machine, const Sizes& s, int64_t group, int64_t sequence_groups) {
  Partition partition;
  if (is_empty(s) || !flags_can_count(s)) return partition;
  const int64_t groups = (s.H + group - 1) / group;
  const int64_t fewest = groups / std::max<int64_t>(machine.multiprocessors, 1);
  for (int64_t each = std::max<int64_t>(fewest, 1); each <= groups; ++each) {
    const int64_t blocks = (groups + each - 1) / each;
    const int64_t resident = resident_blocks(machine, wide_resident, bytes_of<Shared>(s, each * group));
    if (resident == 0) break;  // not even one: it would want more and more memory
    if (resident < blocks) continue;
    partition.units = each * group;
    partition.unit_blocks = blocks;
    partition.sequence_blocks = std::min(sequence_groups, resident / blocks);
    partition.blocks = partition.unit_blocks * partition.sequence_blocks;
    break;
  }
  return partition;
}

template <class S, int sums, int matrices>
Partition wide_partition_of(const Machine& machine, const Sizes& s) {
  if constexpr (on_tensor_cores<S>)
    return wide_partition<TensorShared<S, matrices>>(machine, s, group_units,
                                                     (s.B + group_sequences - 1) / group_sequences);
  else
    return wide_partition<WideShared<Arithmetic<S>, sums>>(machine, s, 1, 1);
}

template <class S>
Plan plan_wide_forward(const Machine& machine, const Sizes& s) {
  return plan_with<WideForwardWorkspace<S>>(Schedule::wide, s,
                                            wide_partition_of<S, forward_sums, gates_of_cell>(machine, s));
}

template <class S>
Plan plan_wide_backward(const Machine& machine, const Sizes& s) {
  return plan_with<WideBackwardWorkspace<S>>(Schedule::wide, s, wide_partition_of<S, backward_sums, 1>(machine, s));
}

// ---- all

template <class Workspace>
Plan plan_general(const Sizes& s) {
  Partition partition;
  partition.blocks = general_blocks(s.B);
  return plan_with<Workspace>(Schedule::general, s, partition);
}

// Both directions of a training call are of one family: they save alike.
enum class Family { general, narrow, wide };

template <class S>
Family family_of(const Request& request) {
  const bool is_double = std::is_same_v<S, double>, is_wide = request.size.H > warp_lanes;
  if (!request.schedule) return is_wide ? Family::wide : is_double ? Family::general : Family::narrow;
  switch (*request.schedule) {
    case Schedule::general:
      if (!is_double) throw impossible_schedule("general", "float64");
      return Family::general;
    case Schedule::wide:
      if (!is_wide) throw impossible_schedule("wide", "layers of more than 32 units");
      return Family::wide;
    default:
      if (is_double || is_wide)
        throw impossible_schedule(schedule_names[int(*request.schedule)],
                                  "layers of at most 32 units in float32, bfloat16 or float16");
      return Family::narrow;
  }
}

}  // namespace

template <class S>
Plan plan_inference(const Machine& machine, const Request& request) {
  const Sizes& s = request.size;
  switch (family_of<S>(request)) {
    case Family::general:
      return plan_general<GeneralForwardWorkspace>(s);
    case Family::narrow:
      return plan_narrow_forward(machine, request, lanes_for(s));
    default:
      return plan_wide_forward<S>(machine, s);
  }
}

template <class S>
Training plan_training(const Machine& machine, const Request& request) {
  const Sizes& s = request.size;
  Training training = {plan_inference<S>(machine, request), {}};
  training.forward.saved = s.L * saved_per_layer(s) * int64_t(sizeof(Arithmetic<S>));
  switch (family_of<S>(request)) {
    case Family::general:
      training.backward = plan_general<GeneralBackwardWorkspace>(s);
      break;
    case Family::narrow:
      training.backward = plan_narrow_backward(machine, request, lanes_for(s));
      break;
    default:
      training.backward = plan_wide_backward<S>(machine, s);
  }
  training.backward.saved = training.forward.saved;
  return training;
}

#define RESBLOCK_INSTANTIATE(S)                                    \
  template Plan plan_inference<S>(const Machine&, const Request&); \
  template Training plan_training<S>(const Machine&, const Request&);
RESBLOCK_INSTANTIATE(float)
RESBLOCK_INSTANTIATE(double)
RESBLOCK_INSTANTIATE(bfloat16)
RESBLOCK_INSTANTIATE(float16)

}  // namespace resblock::cuda
