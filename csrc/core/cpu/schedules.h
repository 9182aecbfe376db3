// The schedules, one function per direction, and how they spread what they do over threads.
#pragma once
#include <algorithm>
#include <vector>

#include "core/cpu/kernels.h"
#include "core/cpu/workspace.h"

namespace resblock::cpu {

template <class A>
void forward_batched(const Partition& partition, const Forward<A>& problem, const Parallel& parallel, Arena arena);
template <class A>
void backward_batched(const Partition& partition, const Backward<A>& problem, const Parallel& parallel, Arena arena);
template <class A>
void forward_layerwise(const Partition& partition, const Forward<A>& problem, const Parallel& parallel, Arena arena);
template <class A>
void backward_layerwise(const Partition& partition, const Backward<A>& problem, const Parallel& parallel, Arena arena);
template <class A>
void forward_wavefront(const Partition& partition, const Forward<A>& problem, const Parallel& parallel, Arena arena);

#define RESBLOCK_INSTANTIATE_SCHEDULE(function, Problem)                                   \
  template void function(const Partition&, const Problem<float>&, const Parallel&, Arena); \
  template void function(const Partition&, const Problem<double>&, const Parallel&, Arena);

template <class Body>
void run_tasks(const Parallel& parallel, int64_t tasks, const Body& body) {
  parallel.run(
      parallel.context, tasks,
      [](const void* argument, int64_t index) { (*static_cast<const Body*>(argument))(index); }, &body);
}

// Calls body(task, worker). Each worker takes every so-many-th task, one after the other: the longest sequences come
// first, and each gets its share of them.
template <class Body>
void run_workers(const Parallel& parallel, int64_t workers, int64_t tasks, const Body& body) {
  run_tasks(parallel, workers, [&](int64_t worker) {
    for (int64_t task = worker; task < tasks; task += workers) body(task, worker);
  });
}

// Calls body(task, worker, within): a single worker shares the work within each task with all threads.
template <class Body>
void run_sharing(const Parallel& parallel, int64_t workers, int64_t tasks, const Body& body) {
  const bool share = workers == 1;
  run_workers(share ? serial : parallel, workers, tasks,
              [&](int64_t task, int64_t worker) { body(task, worker, share ? parallel : serial); });
}

// Steps of sequences in the tiles before each.
template <class A>
std::vector<int64_t> rows_before_tiles(const Inputs<A>& problem, const Partition& partition) {
  std::vector<int64_t> before(size_t(partition.blocks));
  for (int64_t tile = 0, rows = 0; tile < partition.blocks; ++tile) {
    before[size_t(tile)] = rows;
    rows += running_steps(problem, tile * partition.sequences) * partition.sequences;
  }
  return before;
}

// Calls body(item, segment, chunk) so that chunk c of segment s runs beside chunk c - 1 of segment s + 1.
template <class Body>
void run_diagonals(const Parallel& parallel, int64_t items, const Partition& partition, const Body& body) {
  const int64_t segments = partition.segments, chunks = partition.chunks;
  for (int64_t diagonal = 0; diagonal < chunks + segments - 1; ++diagonal)
    run_tasks(parallel, items * segments, [&](int64_t task) {
      const int64_t segment = task % segments, chunk = diagonal - segment;
      if (chunk >= 0 && chunk < chunks) body(task / segments, segment, chunk);
    });
}

// Packing is a few microseconds of work per layer: threads are woken for `size` values of wide layers only.
template <class Pack>
void pack_layers(const Parallel& parallel, const Sizes& sizes, int64_t size, const Pack& pack) {
  const int64_t worth_threads = int64_t(1) << 18;
  run_tasks(size < worth_threads ? serial : parallel, sizes.L, pack);
}

// Adds up the gradients of the groups, and stores them as those of the problem.
template <class A>
void store_gradients(const Backward<A>& problem, int64_t groups, A* gradients) {
  const Kernels<A> all = kernels<A>();
  for (int64_t layer = 0; layer < problem.size.L; ++layer) all.store_gradients(problem, groups, gradients, layer);
}

// The kernels whose vectors have as many lanes as a tile has sequences.
template <class A>
BatchedKernels<A> batched_kernels(const Partition& partition) {
  const Kernels<A> all = kernels<A>();
  return all.batched.lanes == partition.sequences ? all.batched : all.batched_half;
}

}  // namespace resblock::cpu
