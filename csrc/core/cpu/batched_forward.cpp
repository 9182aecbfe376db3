#include "core/cpu/schedules.h"

namespace resblock::cpu {

template <class A>
void forward_batched(const Partition& partition, const Forward<A>& p, const Parallel& parallel, Arena arena) {
  const BatchedKernels<A> kernels = batched_kernels<A>(partition);
  const BatchedForwardArrays<A> arrays(p.size, partition, arena);
  pack_layers<A>(parallel, p, UnitPairs::of_all_layers(p.size), kernels.pack_forward, arrays.packed);
  if (partition.segments == 1)
    return run_workers(parallel, partition.workers, partition.blocks, [&](int64_t tile, int64_t worker) {
      for (int64_t chunk = 0; chunk < partition.chunks; ++chunk)
        kernels.forward(p, partition, arrays.packed, {tile, 0, chunk}, arrays.scratch.of(worker));
    });
  run_diagonals(parallel, partition.blocks, partition, [&](int64_t tile, int64_t segment, int64_t chunk) {
    kernels.forward(p, partition, arrays.packed, {tile, segment, chunk}, arrays.scratch.of(tile));
  });
}

RESBLOCK_INSTANTIATE_SCHEDULE(forward_batched, Forward)

}  // namespace resblock::cpu
