#include "core/cpu/schedules.h"

namespace resblock::cpu {

template <class A>
void forward_layerwise(const Partition& partition, const Forward<A>& p, const Parallel& parallel, Arena arena) {
  const LayerwiseKernels<A> kernels = cpu::kernels<A>().layerwise;
  const LayerwiseForwardArrays<A> arrays(p.size, partition, arena);
  if (arrays.packed)
    pack_layers(parallel, p.size, packed_size(p.size),
                [&](int64_t layer) { kernels.pack_forward(p, partition, layer, arrays.packed); });
  run_sharing(parallel, partition.workers, partition.blocks,
              [&](int64_t block, int64_t worker, const Parallel& within) {
                kernels.forward_block(p, within, partition, arrays.packed, block, arrays.scratch.of(worker));
              });
}

RESBLOCK_INSTANTIATE_SCHEDULE(forward_layerwise, Forward)

}  // namespace resblock::cpu
