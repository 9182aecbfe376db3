#include "core/cpu/plan.h"

#include <stdlib.h>
#include <string.h>

#include <algorithm>
#include <memory>
#include <new>
#include <stdexcept>
#include <string>

#include "core/cpu/kept_memory.h"
#include "core/cpu/kernels.h"
#include "core/dropout.h"

namespace resblock::cpu {

#define RESBLOCK_DECLARE_ISA(name) \
  namespace name {                 \
  template <class S>               \
  Kernels<S> kernels();            \
  }
RESBLOCK_DECLARE_ISA(portable)
#if defined(__x86_64__)
RESBLOCK_DECLARE_ISA(x86_64_v3)
RESBLOCK_DECLARE_ISA(x86_64_v4)
#endif

namespace {

enum class Isa { portable, v3, v4 };

Isa detect_isa() {
  Isa isa = Isa::portable;
#if defined(__x86_64__)
  __builtin_cpu_init();
  if (__builtin_cpu_supports("x86-64-v4"))
    isa = Isa::v4;
  else if (__builtin_cpu_supports("x86-64-v3"))
    isa = Isa::v3;
  if (const char* wanted = getenv("RESBLOCK_ISA")) {
    const Isa limit = !strcmp(wanted, "x86-64-v4") ? Isa::v4 : !strcmp(wanted, "x86-64-v3") ? Isa::v3 : Isa::portable;
    isa = std::min(isa, limit);
  }
#endif
  return isa;
}

Isa isa() {
  static const Isa found = detect_isa();
  return found;
}

template <class S>
Kernels<S> kernels() {
#if defined(__x86_64__)
  if (isa() == Isa::v4) return x86_64_v4::kernels<S>();
  if (isa() == Isa::v3) return x86_64_v3::kernels<S>();
#endif
  return portable::kernels<S>();
}

enum class Schedule { by_size, layerwise, batched, wavefront };

Schedule wanted_schedule() {
  const char* wanted = getenv("RESBLOCK_SCHEDULE");
  if (!wanted) return Schedule::by_size;
  if (!strcmp(wanted, "layerwise")) return Schedule::layerwise;
  if (!strcmp(wanted, "batched")) return Schedule::batched;
  if (!strcmp(wanted, "wavefront")) return Schedule::wavefront;
  throw std::invalid_argument("RESBLOCK_SCHEDULE is '" + std::string(wanted) + "', expected one of: " + schedules());
}

Schedule wanted() {
  static const Schedule schedule = wanted_schedule();
  return schedule;
}

// Whether the batch goes into the lanes. Where it pays was measured: lanes must not idle, and in training the gradient
// of every weight is summed over lanes once per chunk of time, which grows with the square of the units.
bool is_batched(const Sizes& s, bool training) {
  if (wanted() != Schedule::by_size) return wanted() == Schedule::batched;
  if (!training) return s.H <= 16 ? s.B >= 6 : s.H <= 64 && s.B >= 8;
  if (s.H <= 12) return s.B >= 6 && s.T > 1;
  const int64_t lanes = 16, idle = (lanes - s.B % lanes) % lanes;
  return s.H <= 64 && s.T >= 16 && s.B >= (s.H <= 16 ? 16 : 32) && 8 * idle <= s.B;
}

// The wavefront's kernels for layers of this size, or null.
template <class S>
const WavefrontKernels<S>* wavefront(const Kernels<S>& kernels, const Forward<S>& p) {
  if (p.saved || p.options.dropout > 0) return nullptr;
  if (wanted() != Schedule::by_size ? wanted() != Schedule::wavefront : p.size.B >= 6) return nullptr;
  for (const WavefrontKernels<S>& kernel : kernels.wavefront)
    if (p.size.H <= kernel.units) return &kernel;
  return nullptr;
}

// Arrays begin where cache lines do: a vector that crosses two costs two loads.
constexpr std::align_val_t cache_line{64};

struct EndWorkspace {
  size_t kept_bytes;  // or 0
  void operator()(void* memory) const {
    if (kept_bytes)
      kept_memory().give_back({memory, kept_bytes});
    else
      operator delete(memory, cache_line);
  }
};
template <class A>
using Workspace = std::unique_ptr<A[], EndWorkspace>;

template <class A>
Workspace<A> workspace(int64_t count) {
  const size_t bytes = size_t(count) * sizeof(A);
  if (!wants_huge_pages(bytes)) return Workspace<A>(static_cast<A*>(operator new(bytes, cache_line)), {0});
  const KeptMemory::Block block = kept_memory().take(bytes);
  return Workspace<A>(static_cast<A*>(block.data), {block.bytes});
}

template <class Body>
void run(const Parallel& parallel, int64_t tasks, const Body& body) {
  parallel.run(
      parallel.context, tasks,
      [](const void* argument, int64_t index) { (*static_cast<const Body*>(argument))(index); }, &body);
}

// Packing is a few microseconds of work per layer: threads are woken for wide layers only.
template <class S, class Pack>
Workspace<Arithmetic<S>> packed_weights(const Inputs<S>& p, const Parallel& parallel, int64_t size, Pack pack) {
  auto packed = workspace<Arithmetic<S>>(size);
  const int64_t worth_threads = int64_t(1) << 18;
  run(size < worth_threads ? serial : parallel, p.size.L, [&](int64_t layer) { pack(p, layer, packed.get()); });
  return packed;
}

int64_t ceil_divide(int64_t a, int64_t b) { return (a + b - 1) / b; }

// Groups of tasks whose gradients are summed apart, bounded in number and in memory.
int64_t gradient_groups(const Sizes& s, int64_t tasks) {
  const int64_t most = 16, values = int64_t(1) << 24;
  const int64_t affordable = std::max<int64_t>(values / std::max<int64_t>(packed_size(s), 1), 1);
  return std::max<int64_t>(std::min({tasks, most, affordable}), 1);  // without sequences the gradients are zeros
}

template <class S>
LayerwiseWeights layerwise_weights(const Sizes& s, bool backward) {
  const int64_t rows = s.B * s.T, worth = std::min<int64_t>(48, backward ? 16 + s.H / 8 : s.H * s.H / 1024);
  if (sizeof(S) == sizeof(Arithmetic<S>) && rows < worth) return LayerwiseWeights::in_place;
  return s.H >= 256 && rows <= 512 ? LayerwiseWeights::packed_in_turn : LayerwiseWeights::packed_ahead;
}

// The sequences of a block share every load of the recurrent weights: the most where these do not fit into the
// second-level cache and come from further away at every step. A chunk is long where weights are read once for all its
// rows, and short in the backward pass, which reads what it wrote there several times. Smaller batches are cut in parts
// for threads, but not far in wide layers: few rows leave the processor waiting for weights. A group's gradients cost a
// pass over an array as large as the weights, which its rows must be worth.
template <class S>
Blocking blocking(const Sizes& s, bool backward, int64_t parts) {
  const int64_t second_level = int64_t(1) << 21, worth_group = 256;
  Blocking b;
  b.far_weights = 4 * s.H * s.H * int64_t(sizeof(Arithmetic<S>)) > second_level;
  const int64_t most = b.far_weights ? 64 : backward ? 16 : 32, rows = backward ? 8 * most : 512;
  const int64_t least = s.H < 256 ? 4 : b.far_weights ? most : 16;
  b.weights = layerwise_weights<S>(s, backward);
  if (b.weights == LayerwiseWeights::packed_in_turn) {
    b.sequences = std::max<int64_t>(s.B, 1);
    b.steps = std::max<int64_t>(s.T, 1);
  } else {
    const int64_t wanted = std::clamp<int64_t>(ceil_divide(s.B, parts), least, most);
    b.sequences = std::max<int64_t>(ceil_divide(s.B, std::max<int64_t>(ceil_divide(s.B, wanted), 1)), 1);
    b.steps = std::clamp<int64_t>(s.T, 1, ceil_divide(rows, b.sequences));
  }
  b.blocks = ceil_divide(s.B, b.sequences);
  b.groups = gradient_groups(s, std::min(b.blocks, s.B * s.T / worth_group));
  return b;
}

// A chunk of a layer, whose rows are as long as the lanes are many, stays in the first-level cache. Where there are
// fewer tiles than threads, and chunks enough to keep a row of segments busy, threads share the layers of a tile.
Tiling tiling(const Sizes& s, int64_t lanes, int64_t threads) {
  Tiling t;
  t.lanes = lanes;
  t.tiles = ceil_divide(s.B, lanes);
  t.steps = std::clamp<int64_t>(s.T, 1, std::max<int64_t>(256 / lanes, 16));
  t.chunks = std::max<int64_t>(ceil_divide(s.T, t.steps), 1);
  t.groups = gradient_groups(s, t.tiles);
  t.segments = 1;
  if (t.tiles > 0 && t.tiles == t.groups && t.tiles < threads)
    t.segments = std::clamp<int64_t>(std::min({ceil_divide(threads, t.tiles), s.L / 2, t.chunks / 4}), 1, threads);
  return t;
}

template <class S>
const BatchedKernels<S>& fitting(const Kernels<S>& kernel, const Sizes& s) {
  return s.B <= kernel.batched_half.lanes ? kernel.batched_half : kernel.batched;
}

// Calls body(task, within) for blocks or groups: each on a thread, or one after the other with all threads sharing its
// products, which is worth it where there is only one, or where layers are wide and there are fewer tasks than threads.
template <class Body>
void run_tasks(const Parallel& parallel, const Blocking& cut, int64_t tasks, const Body& body) {
  const bool share = tasks == 1 || (cut.far_weights && tasks < parallel.threads);
  run(share ? serial : parallel, tasks, [&](int64_t task) { body(task, share ? parallel : serial); });
}

// Each task takes its own workspace: it is long work beside one allocation.
template <class S>
void forward_layerwise(const Forward<S>& p, const Parallel& parallel, const LayerwiseKernels<S>& kernel) {
  const Blocking cut = blocking<S>(p.size, false, parallel.threads);
  const auto packed = cut.weights == LayerwiseWeights::packed_ahead
                          ? packed_weights<S>(p, parallel, packed_size(p.size), kernel.pack_forward)
                          : nullptr;
  const int64_t scratch = kernel.forward_workspace(p.size, cut);
  run_tasks(parallel, cut, cut.blocks, [&](int64_t block, const Parallel& within) {
    kernel.forward_block(p, within, cut, packed.get(), block, workspace<Arithmetic<S>>(scratch).get());
  });
}

// Calls body(item, segment, chunk) so that chunk c of segment s runs beside chunk c - 1 of segment s + 1.
template <class Body>
void run_diagonals(const Parallel& parallel, int64_t items, int64_t segments, int64_t chunks, const Body& body) {
  for (int64_t diagonal = 0; diagonal < chunks + segments - 1; ++diagonal)
    run(parallel, items * segments, [&](int64_t task) {
      const int64_t segment = task % segments, chunk = diagonal - segment;
      if (chunk >= 0 && chunk < chunks) body(task / segments, segment, chunk);
    });
}

// Whole tiles, each in a workspace of its own that lasts as long; or the segments of few tiles, chunk by chunk.
template <class S>
void forward_batched(const Forward<S>& p, const Parallel& parallel, const BatchedKernels<S>& kernel) {
  using A = Arithmetic<S>;
  const Tiling cut = tiling(p.size, kernel.lanes, parallel.threads);
  const auto packed = packed_weights<S>(p, parallel, kernel.forward_weights(p.size), kernel.pack_forward);
  const int64_t scratch = kernel.forward_workspace(p.size, cut);
  if (cut.segments == 1)
    return run(parallel, cut.tiles, [&](int64_t tile) {
      const auto own = workspace<A>(scratch);
      for (int64_t chunk = 0; chunk < cut.chunks; ++chunk)
        kernel.forward(p, cut, packed.get(), {tile, 0, chunk}, own.get());
    });
  const auto tiles = workspace<A>(cut.tiles * scratch);
  run_diagonals(parallel, cut.tiles, cut.segments, cut.chunks, [&](int64_t tile, int64_t segment, int64_t chunk) {
    kernel.forward(p, cut, packed.get(), {tile, segment, chunk}, tiles.get() + tile * scratch);
  });
}

template <class S>
void backward_batched(const Backward<S>& p, const Parallel& parallel, const Kernels<S>& kernels) {
  using A = Arithmetic<S>;
  const BatchedKernels<S>& kernel = fitting(kernels, p.size);
  const Tiling cut = tiling(p.size, kernel.lanes, parallel.threads);
  const auto packed = packed_weights<S>(p, parallel, packed_size(p.size), kernel.pack_backward);
  const int64_t scratch = kernel.backward_workspace(p.size, cut), all = packed_size(p.size);
  const auto gradients = workspace<A>(cut.groups * all);
  // Otherwise the first tile of a group zeroes them, layer by layer, just before it adds to them.
  if (p.size.B * p.size.T == 0) std::fill_n(gradients.get(), cut.groups * all, A(0));
  if (cut.segments == 1) {
    run(parallel, cut.groups, [&](int64_t group) {
      const auto own = workspace<A>(scratch);
      const int64_t first = group * cut.tiles / cut.groups, end = (group + 1) * cut.tiles / cut.groups;
      for (int64_t tile = first; tile < end; ++tile)
        for (int64_t chunk = 0; chunk < cut.chunks; ++chunk)
          kernel.backward(p, cut, packed.get(), {tile, 0, chunk}, tile == first, gradients.get() + group * all,
                          own.get());
    });
  } else {  // every tile is a group
    const auto tiles = workspace<A>(cut.tiles * scratch);
    run_diagonals(parallel, cut.tiles, cut.segments, cut.chunks, [&](int64_t tile, int64_t segment, int64_t chunk) {
      kernel.backward(p, cut, packed.get(), {tile, segment, chunk}, true, gradients.get() + tile * all,
                      tiles.get() + tile * scratch);
    });
  }
  run(serial, p.size.L, [&](int64_t layer) { kernels.store_gradients(p, cut.groups, gradients.get(), layer); });
}

template <class S>
void forward_wavefront(const Forward<S>& p, const Parallel& parallel, const WavefrontKernels<S>& kernel) {
  using A = Arithmetic<S>;
  const int64_t steps = 256;
  const WavefrontCut cut = {steps, std::max<int64_t>(ceil_divide(p.size.T, steps), 1),
                            std::min(parallel.threads, kernel.parts(p.size))};
  const int64_t scratch = kernel.workspace(p.size, cut);
  const auto weights = workspace<A>(kernel.weights_size(p.size)), sequences = workspace<A>(p.size.B * scratch);
  kernel.pack(p, weights.get());
  run_diagonals(parallel, p.size.B, cut.segments, cut.chunks, [&](int64_t sequence, int64_t segment, int64_t chunk) {
    kernel.forward(p, cut, weights.get(), sequence, segment, chunk, sequences.get() + sequence * scratch);
  });
}

template <class S>
void backward_layerwise(const Backward<S>& p, const Parallel& parallel, const Kernels<S>& kernels) {
  using A = Arithmetic<S>;
  const LayerwiseKernels<S>& kernel = kernels.layerwise;
  const int64_t parts = 4;  // not the threads: what is summed apart rounds apart
  const Blocking cut = blocking<S>(p.size, true, parts);
  const auto packed = cut.weights == LayerwiseWeights::packed_ahead
                          ? packed_weights<S>(p, parallel, packed_size(p.size), kernel.pack_backward)
                          : nullptr;
  const bool in_place = cut.groups == 1 && sizeof(S) == sizeof(A);
  const int64_t scratch = kernel.backward_workspace(p.size, cut), all = packed_size(p.size);
  const auto gradients = in_place ? nullptr : workspace<A>(cut.groups * all);
  run_tasks(parallel, cut, cut.groups, [&](int64_t group, const Parallel& within) {
    kernel.backward_group(p, within, cut, packed.get(), group, in_place ? nullptr : gradients.get() + group * all,
                          workspace<A>(scratch).get());
  });
  if (in_place) return;
  run(serial, p.size.L, [&](int64_t layer) { kernels.store_gradients(p, cut.groups, gradients.get(), layer); });
}

}  // namespace

const Parallel serial = {nullptr, 1,
                         [](void*, int64_t tasks, void (*task)(const void*, int64_t), const void* argument) {
                           for (int64_t index = 0; index < tasks; ++index) task(argument, index);
                         }};

template <class S>
void forward(const Forward<S>& p, const Parallel& parallel) {
  const Kernels<S> kernel = kernels<S>();
  if (const auto* narrow = wavefront(kernel, p))
    forward_wavefront(p, parallel, *narrow);
  else if (is_batched(p.size, p.saved))
    forward_batched(p, parallel, fitting(kernel, p.size));
  else
    forward_layerwise(p, parallel, kernel.layerwise);
}

template <class S>
void backward(const Backward<S>& p, const Parallel& parallel) {
  const Kernels<S> kernel = kernels<S>();
  if (is_batched(p.size, true))
    backward_batched(p, parallel, kernel);
  else
    backward_layerwise(p, parallel, kernel);
}

void dropout_mask(const Sizes& s, const Options& options, double* mask) {
  const Dropout dropout(options.seed, options.dropout);
  for (int64_t layer = 1; layer < s.L; ++layer)
    for (int64_t t = 0; t < s.T; ++t)
      for (int64_t b = 0; b < s.B; ++b, mask += s.H)
        for (int64_t u = 0; u < s.H; u += 4) {
          double factor[4];
          dropout.factors(layer, t, b, u / 4, factor);
          std::copy_n(factor, std::min<int64_t>(4, s.H - u), mask + u);
        }
}

const char* instruction_set() {
#if defined(__x86_64__)
  const char* names[] = {"x86-64", "x86-64-v3", "x86-64-v4"};
  return names[int(isa())];
#else
  return "portable";
#endif
}

const char* schedules() { return "batched layerwise wavefront"; }

#define RESBLOCK_INSTANTIATE(S)                              \
  template void forward(const Forward<S>&, const Parallel&); \
  template void backward(const Backward<S>&, const Parallel&);
RESBLOCK_INSTANTIATE(float)
RESBLOCK_INSTANTIATE(double)
RESBLOCK_INSTANTIATE(bfloat16)
RESBLOCK_INSTANTIATE(float16)

}  // namespace resblock::cpu
