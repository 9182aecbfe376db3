#include "core/cpu/schedules.h"

namespace resblock::cpu {

template <class A>
void backward_batched(const Partition& partition, const Backward<A>& p, const Parallel& parallel, Arena arena) {
  const BatchedKernels<A> kernels = batched_kernels<A>(partition);
  const BatchedBackwardArrays<A> arrays(p.size, partition, arena);
  const int64_t all = packed_size(p.size), groups = partition.groups, tiles = partition.blocks;
  pack_layers(parallel, p.size, all, [&](int64_t layer) { kernels.pack_backward(p, layer, arrays.packed); });
  const std::vector<int64_t> rows_before = rows_before_tiles(p, partition);
  // The first tile of a group, its longest, zeroes the group's gradients layer by layer, just before it adds to them.
  for (int64_t group = 0; group < groups; ++group)
    if (group >= tiles || running_steps(p, group * partition.sequences) == 0)
      std::fill_n(arrays.gradients + group * all, all, A(0));
  const auto run = [&](int64_t tile, int64_t segment, int64_t chunk, void* scratch) {
    const int64_t group = tile % groups;
    kernels.backward(p, partition, arrays.packed, {tile, segment, chunk, rows_before[size_t(tile)]}, tile == group,
                     arrays.gradients + group * all, scratch);
  };
  if (partition.segments == 1)
    run_workers(parallel, partition.workers, groups, [&](int64_t group, int64_t worker) {
      for (int64_t tile = group; tile < tiles; tile += groups) {
        const int64_t chunks = chunks_of_tile(p, partition, tile);
        for (int64_t chunk = 0; chunk < chunks; ++chunk) run(tile, 0, chunk, arrays.scratch.of(worker));
      }
    });
  else  // every tile is a group
    run_diagonals(parallel, tiles, partition, [&](int64_t tile, int64_t segment, int64_t chunk) {
      if (chunk < chunks_of_tile(p, partition, tile)) run(tile, segment, chunk, arrays.scratch.of(tile));
    });
  store_gradients(p, groups, arrays.gradients);
}

RESBLOCK_INSTANTIATE_SCHEDULE(backward_batched, Backward)

}  // namespace resblock::cpu
