#include "core/cpu/schedules.h"

namespace resblock::cpu {

template <class A>
void backward_layerwise(const Partition& partition, const Backward<A>& p, const Parallel& parallel, Arena arena) {
  const LayerwiseKernels<A> kernels = cpu::kernels<A>().layerwise;
  const LayerwiseBackwardArrays<A> arrays(p.size, partition, arena);
  const int64_t all = packed_size(p.size);
  if (arrays.packed)
    pack_layers(parallel, p.size, all,
                [&](int64_t layer) { kernels.pack_backward(p, partition, layer, arrays.packed); });
  run_sharing(
      parallel, partition.workers, partition.groups, [&](int64_t group, int64_t worker, const Parallel& within) {
        A* gradients = arrays.gradients ? arrays.gradients + group * all : nullptr;
        kernels.backward_group(p, within, partition, arrays.packed, group, gradients, arrays.scratch.of(worker));
      });
  if (arrays.gradients) store_gradients(p, partition.groups, arrays.gradients);
}

RESBLOCK_INSTANTIATE_SCHEDULE(backward_layerwise, Backward)

}  // namespace resblock::cpu
