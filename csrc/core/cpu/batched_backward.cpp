#include "core/cpu/schedules.h"

namespace resblock::cpu {

template <class A>
void backward_batched(const Partition& partition, const Backward<A>& p, const Parallel& parallel, Arena arena) {
  const BatchedKernels<A> kernels = batched_kernels<A>(partition);
  const BatchedBackwardArrays<A> arrays(p.size, partition, arena);
  const int64_t all = packed_size(p.size), groups = partition.groups, tiles = partition.blocks;
  pack_layers<A>(parallel, p, all, kernels.pack_backward, arrays.packed);
  // Otherwise the first tile of a group zeroes them, layer by layer, just before it adds to them.
  if (p.size.B * p.size.T == 0) std::fill_n(arrays.gradients, groups * all, A(0));
  if (partition.segments == 1)
    run_workers(parallel, partition.workers, groups, [&](int64_t group, int64_t worker) {
      const int64_t first = group * tiles / groups, end = (group + 1) * tiles / groups;
      for (int64_t tile = first; tile < end; ++tile)
        for (int64_t chunk = 0; chunk < partition.chunks; ++chunk)
          kernels.backward(p, partition, arrays.packed, {tile, 0, chunk}, tile == first, arrays.gradients + group * all,
                           arrays.scratch.of(worker));
    });
  else  // every tile is a group
    run_diagonals(parallel, tiles, partition, [&](int64_t tile, int64_t segment, int64_t chunk) {
      kernels.backward(p, partition, arrays.packed, {tile, segment, chunk}, true, arrays.gradients + tile * all,
                       arrays.scratch.of(tile));
    });
  store_gradients(p, groups, arrays.gradients);
}

RESBLOCK_INSTANTIATE_SCHEDULE(backward_batched, Backward)

}  // namespace resblock::cpu
