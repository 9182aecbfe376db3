#include "core/cpu/schedules.h"

namespace resblock::cpu {

template <class S>
void forward_layerwise(const Partition& partition, const Forward<S>& p, const Parallel& parallel, Arena arena) {
  const LayerwiseKernels<S> kernels = cpu::kernels<S>().layerwise;
  const LayerwiseForwardArrays<Arithmetic<S>> arrays(p.size, partition, arena);
  if (arrays.packed) pack_layers<S>(parallel, p, packed_size(p.size), kernels.pack_forward, arrays.packed);
  run_sharing(parallel, partition.workers, partition.blocks,
              [&](int64_t block, int64_t worker, const Parallel& within) {
                kernels.forward_block(p, within, partition, arrays.packed, block, arrays.scratch.of(worker));
              });
}

RESBLOCK_INSTANTIATE_SCHEDULE(forward_layerwise, Forward)

}  // namespace resblock::cpu
