#include "core/cpu/schedules.h"

namespace resblock::cpu {

template <class A>
void forward_batched(const Partition& partition, const Forward<A>& p, const Parallel& parallel, Arena arena) {
  const BatchedKernels<A> kernels = batched_kernels<A>(partition);
  const BatchedForwardArrays<A> arrays(p.size, partition, arena);
  pack_layers(parallel, p.size, UnitPairs::of_all_layers(p.size),
              [&](int64_t layer) { kernels.pack_forward(p, layer, arrays.packed); });
  const std::vector<int64_t> rows_before = rows_before_tiles(p, partition);
  const auto run = [&](int64_t tile, int64_t segment, int64_t chunk, void* scratch) {
    kernels.forward(p, partition, arrays.packed, {tile, segment, chunk, rows_before[size_t(tile)]}, scratch);
  };
  if (partition.segments == 1)
    return run_workers(parallel, partition.workers, partition.blocks, [&](int64_t tile, int64_t worker) {
      const int64_t chunks = chunks_of_tile(p, partition, tile);
      for (int64_t chunk = 0; chunk < chunks; ++chunk) run(tile, 0, chunk, arrays.scratch.of(worker));
    });
  run_diagonals(parallel, partition.blocks, partition, [&](int64_t tile, int64_t segment, int64_t chunk) {
    if (chunk < chunks_of_tile(p, partition, tile)) run(tile, segment, chunk, arrays.scratch.of(tile));
  });
}

RESBLOCK_INSTANTIATE_SCHEDULE(forward_batched, Forward)

}  // namespace resblock::cpu
