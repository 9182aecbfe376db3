#include "core/cpu/plan.h"

#include <algorithm>
#include <cmath>

#include "core/cpu/workspace.h"

namespace resblock::cpu {
namespace {

int64_t ceil_divide(int64_t a, int64_t b) { return (a + b - 1) / b; }

// How a batch fills its T steps.
struct Fill {
  Sizes size;
  const int64_t* lengths;
  int64_t first_step;
  bool pieces;

  explicit Fill(const Request& r) : size(r.size), lengths(r.lengths), first_step(r.first_step), pieces(r.pieces) {}

  int64_t steps(int64_t place) const { return running_steps(size.T, lengths, first_step, place); }
  int64_t longest() const { return size.B ? steps(0) : size.T; }

  // Steps of sequences; of blocks of so many, each taken to run as long as its longest.
  int64_t rows(int64_t sequences = 1) const {
    if (!lengths) return ceil_divide(size.B, sequences) * sequences * size.T;
    int64_t sum = 0;
    for (int64_t place = 0; place < size.B; place += sequences) sum += steps(place) * sequences;
    return sum;
  }
  // Of tiles, without the lanes beyond the last sequence: what they save.
  int64_t tile_rows(int64_t tile) const {
    const int64_t beyond = (tile - size.B % tile) % tile;
    return rows(tile) - beyond * (size.B ? steps((size.B - 1) / tile * tile) : 0);
  }
  // Sequences end early in batches, which have room for what idle lanes save. Pieces are cut out of less.
  bool fits_lanes(int64_t lanes) const { return !pieces || tile_rows(lanes) <= most_saved_of_pieces * rows(); }

  // Sequences that have any steps.
  int64_t sequences() const {
    int64_t place = 0;
    while (place < size.B && steps(place)) ++place;
    return place;
  }

  // Sequences that run at a step, on the average over the longest one's.
  int64_t running() const { return lengths && longest() ? ceil_divide(rows(), longest()) : size.B; }
};

// ---- batched

// Groups of tasks whose gradients are summed apart, bounded in number and in memory.
int64_t gradient_groups(const Sizes& s, int64_t tasks) {
  const int64_t most = 16, values = int64_t(1) << 24;
  const int64_t affordable = std::max<int64_t>(values / std::max<int64_t>(packed_size(s), 1), 1);
  return std::max<int64_t>(std::min({tasks, most, affordable}), 1);  // without sequences the gradients are zeros
}

template <class A>
int64_t lanes_of(const Machine& machine) {
  return vector_bytes(machine.isa) / int64_t(sizeof(A));
}

// Few sequences go into half a vector. A chunk of a layer, whose rows are as long as the lanes are many, stays in the
// first-level cache. Where there are fewer tiles than threads, and chunks enough to keep a row of segments busy,
// threads share the layers of a tile.
template <class A>
Partition batched_partition(const Machine& machine, const Fill& fill) {
  const Sizes& s = fill.size;
  const int64_t lanes = lanes_of<A>(machine), longest = fill.longest();
  Partition p;
  p.sequences = has_half_tiles(lanes) && s.B <= lanes / 2 ? lanes / 2 : lanes;
  p.blocks = ceil_divide(s.B, p.sequences);
  p.steps = std::clamp<int64_t>(longest, 1, std::max<int64_t>(256 / p.sequences, 16));
  p.rows = p.steps * p.sequences;
  p.chunks = std::max<int64_t>(ceil_divide(longest, p.steps), 1);
  p.groups = gradient_groups(s, p.blocks);
  if (p.blocks > 0 && p.blocks == p.groups && p.blocks < machine.threads)
    p.segments = std::clamp<int64_t>(std::min({ceil_divide(machine.threads, p.blocks), s.L / 2, p.chunks / 4}), 1,
                                     machine.threads);
  return p;
}

// ---- layerwise

Products layerwise_products(const Machine& machine, const Request& r) {
  if (!r.bfloat16) return Products::full;
  return machine.isa >= Isa::x86_64_v4_bf16_amx ? Products::amx_bf16 : Products::avx512_bf16;
}

Packing layerwise_packing(int64_t rows, int64_t H, bool backward) {
  const int64_t worth = std::min<int64_t>(48, backward ? 16 + H / 8 : H * H / 1024);
  if (rows < worth) return Packing::none;
  return H >= 256 && rows <= 512 ? Packing::by_layer : Packing::ahead;
}

// The sequences of a block share every load of the recurrent weights: the most where these do not fit into the
// second-level cache and come from further away at every step. A chunk is long where weights are read once for all its
// rows, and short in the backward pass, which reads what it wrote there several times. Smaller batches are split into
// `parts` for threads, but not far in wide layers: few rows leave the processor waiting for weights. A group's
// gradients cost a pass over an array as large as the weights, which its rows must be worth.
template <class A>
Partition layerwise_partition(const Fill& fill, Products products, bool backward, int64_t parts) {
  const Sizes& s = fill.size;
  const int64_t second_level = int64_t(1) << 21, worth_group = 256, longest = fill.longest(), all_rows = fill.rows();
  const int64_t of_weight = products == Products::full ? sizeof(A) : sizeof(bfloat16);
  Partition p;
  p.products = products;
  p.far_weights = gates_of_cell * s.H * s.H * of_weight > second_level;
  // Products in bfloat16 are so fast that it is the sums that must stay in the caches, and gradients of weights above
  // all.
  const bool rounds = products != Products::full;
  const int64_t most = p.far_weights || (rounds && !backward) ? 64 : backward && !rounds ? 16 : 32;
  const int64_t rows = rounds ? (backward ? 512 : 128) : backward ? 8 * most : 512;
  const int64_t least = rounds || p.far_weights ? most : s.H < 256 ? 4 : 16;
  p.packing = layerwise_packing(all_rows, s.H, backward);
  if (products != Products::full && p.packing == Packing::none) p.packing = Packing::by_layer;
  if (p.packing == Packing::by_layer) {
    p.sequences = std::max<int64_t>(s.B, 1);
    p.steps = std::max<int64_t>(longest, 1);
    p.rows = std::max<int64_t>(all_rows, 1);
  } else {
    const int64_t wanted = std::clamp<int64_t>(ceil_divide(s.B, parts), least, most);
    p.sequences = std::max<int64_t>(ceil_divide(s.B, std::max<int64_t>(ceil_divide(s.B, wanted), 1)), 1);
    p.steps = std::clamp<int64_t>(longest, 1, ceil_divide(rows, p.sequences));
    p.rows = p.steps * p.sequences;
  }
  p.blocks = ceil_divide(s.B, p.sequences);
  p.chunks = ceil_divide(longest, p.steps);
  p.groups = gradient_groups(s, std::min(p.blocks, all_rows / worth_group));
  return p;
}

// One worker, whose products all threads share, is worth it for a single task, or where layers are wide and there are
// fewer tasks than threads.
int64_t layerwise_workers(const Partition& p, int64_t threads, int64_t tasks) {
  return tasks <= 1 || (p.far_weights && tasks < threads) ? 1 : std::min(threads, tasks);
}

// ---- wavefront

template <class A>
Partition wavefront_partition(const Machine& machine, const WaveShape& shape, const Sizes& s) {
  Partition p;
  p.blocks = s.B;
  p.steps = 256;
  p.chunks = std::max<int64_t>(ceil_divide(s.T, p.steps), 1);
  p.segments = std::min(machine.threads, WavePairs(shape, s).count);
  return p;
}

// ---- the choice

constexpr int64_t most_batched = 128;  // units: a layer's weights are to stay in the second-level cache

template <class A>
bool takes_wavefront(const Machine& machine, const Request& r) {
  return !r.dropout && wave_shape(lanes_of<A>(machine), r.size.H).lanes;
}

// How much longer a row is, in whole vectors.
double padding(int64_t count, int64_t lanes) { return double(ceil_divide(count, lanes) * lanes) / double(count); }

// What a call costs in each schedule, in steps of sequences that run in full tiles of the batched one: the constants
// were fitted to some two thousand measured sizes. In tiles lanes idle where sequences are missing, and in training the
// gradient of every weight is summed over the lanes once per chunk of time.
double batched_cost(const Fill& fill, int64_t lanes, bool training) {
  const bool half = has_half_tiles(lanes) && fill.size.B <= lanes / 2;
  const double sums = training ? 1 + 1 / double(std::min<int64_t>(fill.longest(), 16)) : 1;
  return double(fill.rows(half ? lanes / 2 : lanes)) * (half ? training ? 1.5 : 1.9 : 1) * sums;
}

// Lanes idle where units are missing, and the fewer rows a product has, the longer each takes.
double layerwise_cost(const Fill& fill, int64_t lanes, bool training) {
  const double units = double(fill.size.H);
  const double per_row = training ? std::max(1.0, 1.45 - units / 150) : std::max(1.15, 1.5 - units / 100);
  return double(fill.rows()) * per_row * padding(fill.size.H, lanes) * (1 + 1 / double(fill.running()));
}

// Lanes idle where units or layers are missing, and while the layers of a pair of groups begin and end, which they do
// in every sequence. Weights take long to pack.
double wavefront_cost(const Fill& fill, const WaveShape& shape) {
  const int64_t L = fill.size.L, together = shape.layers() * (shape.paired() ? 2 : 1);
  const double alone = shape.paired() && L <= shape.layers() ? 1.5 : 1, step = shape.paired() ? 1.1 : 1.7;
  const double begin_and_end = 1.2 * double(together * fill.sequences());
  const double per_row = step * std::pow(padding(fill.size.H, shape.units()), 1.5) * padding(L, shape.layers()) * alone;
  return (double(fill.rows()) + begin_and_end) * per_row + 1.4 * double(std::max<int64_t>(shape.units() - 8, 0));
}

template <class A>
Schedule inference_schedule(const Machine& machine, const Request& r) {
  const bool can = takes_wavefront<A>(machine, r);
  if (r.schedule == Schedule::wavefront && !can)
    throw impossible_schedule("wavefront", "calls without dropout, of layers as narrow as its vectors allow");
  if (r.schedule) return *r.schedule;
  const Fill fill(r);
  if (fill.rows() == 0) return Schedule::layerwise;
  const int64_t lanes = lanes_of<A>(machine);
  const double layerwise = layerwise_cost(fill, lanes, false);
  const double batched = r.size.H <= most_batched ? batched_cost(fill, lanes, false) : layerwise;
  // Each sequence has memory for the steps of the longest.
  const bool has_room = !r.pieces || r.size.B * fill.longest() <= 8 * fill.rows();
  if (can && has_room && wavefront_cost(fill, wave_shape(lanes, r.size.H)) < std::min(batched, layerwise))
    return Schedule::wavefront;
  return batched < layerwise ? Schedule::batched : Schedule::layerwise;
}

template <class A>
Schedule training_schedule(const Machine& machine, const Request& r) {
  if (r.schedule == Schedule::wavefront)
    throw impossible_schedule("wavefront", "no training: it saves nothing for a backward pass");
  if (r.schedule == Schedule::batched && !Fill(r).fits_lanes(lanes_of<A>(machine)))
    throw impossible_schedule("batched", "in training no resets that leave half of its lanes idle");
  if (r.schedule) return *r.schedule;
  const Fill fill(r);
  const int64_t lanes = lanes_of<A>(machine);
  if (fill.rows() == 0 || r.size.H > most_batched || !fill.fits_lanes(lanes)) return Schedule::layerwise;
  const bool batched = batched_cost(fill, lanes, true) < layerwise_cost(fill, lanes, true);
  return batched ? Schedule::batched : Schedule::layerwise;
}

template <class A>
Plan plan_forward(const Machine& machine, const Request& r, Schedule schedule) {
  const Fill fill(r);
  const Sizes& s = r.size;
  Plan plan = {schedule, {}, 0, 0};
  Partition& p = plan.partition;
  if (schedule == Schedule::batched) {
    p = batched_partition<A>(machine, fill);
    p.workers = std::clamp<int64_t>(p.blocks, 1, machine.threads);
    p.groups = 1;
    plan.workspace = bytes_of<BatchedForwardArrays<A>>(s, p);
  } else if (schedule == Schedule::layerwise) {
    p = layerwise_partition<A>(fill, layerwise_products(machine, r), false, machine.threads);
    p.workers = layerwise_workers(p, machine.threads, p.blocks);
    p.groups = 1;
    p.cells = r.cells;
    plan.workspace = bytes_of<LayerwiseForwardArrays<A>>(s, p);
  } else {
    const WaveShape shape = wave_shape(lanes_of<A>(machine), s.H);
    p = wavefront_partition<A>(machine, shape, s);
    plan.workspace = bytes_of<WavefrontArrays<A>>(shape, s, p);
  }
  return plan;
}

template <class A>
Plan plan_backward(const Machine& machine, const Request& r, Schedule schedule) {
  const Fill fill(r);
  const Sizes& s = r.size;
  Plan plan = {schedule, {}, 0, 0};
  Partition& p = plan.partition;
  if (schedule == Schedule::batched) {
    p = batched_partition<A>(machine, fill);
    p.workers = std::min(p.groups, machine.threads);
    plan.workspace = bytes_of<BatchedBackwardArrays<A>>(s, p);
  } else {
    const int64_t parts = 4;  // not the threads: what is summed apart rounds apart
    p = layerwise_partition<A>(fill, layerwise_products(machine, r), true, parts);
    p.workers = layerwise_workers(p, machine.threads, p.groups);
    plan.workspace = bytes_of<LayerwiseBackwardArrays<A>>(s, p);
  }
  return plan;
}

}  // namespace

// Where it pays was measured. Weights are packed, which the rows must be worth.
bool multiplies_bfloat16(const Machine& machine, const Request& r) {
  const int64_t worth_units = 128, worth_rows = 16;
  return machine.isa >= Isa::x86_64_v4_bf16 && r.schedule.value_or(Schedule::layerwise) == Schedule::layerwise &&
         r.size.H >= worth_units && Fill(r).rows() >= worth_rows;
}

template <class A>
Plan plan_inference(const Machine& machine, const Request& r) {
  return plan_forward<A>(machine, r, inference_schedule<A>(machine, r));
}

template <class A>
Training plan_training(const Machine& machine, const Request& r) {
  const Schedule schedule = training_schedule<A>(machine, r);
  const Fill fill(r);
  Training training = {plan_forward<A>(machine, r, schedule), plan_backward<A>(machine, r, schedule)};
  // The tiles of the batched schedule save what its idle lanes compute, but for those beyond the last sequence.
  const int64_t tile = schedule == Schedule::batched ? training.forward.partition.sequences : 1;
  training.forward.saved = training.backward.saved =
      saved_of_cell * r.size.H * r.size.L * fill.tile_rows(tile) * int64_t(sizeof(A));
  return training;
}

#define RESBLOCK_INSTANTIATE(A)                                    \
  template Plan plan_inference<A>(const Machine&, const Request&); \
  template Training plan_training<A>(const Machine&, const Request&);
RESBLOCK_INSTANTIATE(float)
RESBLOCK_INSTANTIATE(double)

}  // namespace resblock::cpu
