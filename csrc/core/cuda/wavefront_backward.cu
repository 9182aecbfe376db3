// Wavefront schedule, backward: the reversed diagonal. The last layer begins, with the last chunk. Of the warps of a
// block one runs the cells, one is the link to the neighbours, and the others sum the gradients of the weights, in
// registers until the end.
//
//     link:  receive dy of chunk n, dx of chunk n - 2, tell the layer below of chunk n - 3
//     cells: chunk n - 1
//     panels: chunk n - 2, and fetch x of chunk n - 1
#include "core/cuda/launch_kernel.h"
#include "core/cuda/narrow_backward.h"
#include "core/cuda/pack.h"
#include "core/cuda/schedules.h"
#include "core/cuda/wavefront.h"

namespace resblock::cuda {
namespace {

static_assert(panel_warps == wavefront_panel_warps, "a block has the warps of one panel");

// All that the warps of a block have in common. Chunks are counted from the last one of a bundle to its first.
template <int G>
struct Block {
  const AnyBackward& p;
  uint64_t seed;
  Packed<G> packed, gradients;
  Links links;
  int64_t layer;
  PipeChunks<G> chunks;
  WavefrontBackwardRows rows;

  __device__ int64_t chunk_index(int64_t n) const { return chunks.of_bundle - 1 - n % chunks.of_bundle; }
  __device__ Chunk chunk(int64_t n) const { return Chunk(chunk_index(n), links.steps, p.size.T); }
  __device__ Lane<G> lane(int64_t n) const { return Lane<G>(p, chunks.bundle(n)); }
  __device__ int64_t tiles() const { return Packed<G>::tiles(p.size, layer); }
  __device__ float* x(int64_t n, int64_t tile) const {
    return rows.x + ((n & 1) * Packed<G>::tiles(p.size, 0) + tile) * links.steps * warp_lanes;
  }
};

template <int G>
__device__ void receive(const Block<G>& block, const Link& from, int64_t n) {
  const Lane<G> my = block.lane(n);
  const Chunk chunk = block.chunk(n);
  float *dy = block.rows.dy + side(n, block.links.steps), *above = block.rows.dy_above + side(n, block.links.steps);
  if (block.layer + 1 == block.p.size.L) {
    for (int t = 0; t < chunk.steps; ++t) dy[t * warp_lanes + my.lane] = read_grad_output(block.p, my, chunk.t0 + t);
    return;
  }
  wait_for(from.complete, int(n + 1));
  __syncwarp();
  const float* ring = from.chunk(n, block.links.steps) + my.lane;
  for (int t = 0; t < chunk.steps; ++t) {
    dy[t * warp_lanes + my.lane] = ring[2 * t * warp_lanes];
    above[t * warp_lanes + my.lane] = ring[(2 * t + 1) * warp_lanes];
  }
  __syncwarp();
  if (my.lane == 0) store_release(from.consumed, int(n + 1));
}

// The gradient of what came into the layer.
template <int G>
__device__ void send(const Block<G>& block, float4 (&W)[G], const Link& to, int64_t n) {
  const Lane<G> my = block.lane(n);
  const Chunk chunk = block.chunk(n);
  const int now = side(n, block.links.steps);
  if (block.layer == 0) {
    for (int64_t tile = 0; tile < block.tiles(); ++tile)
      write_grad_input(block.p, block.packed, my, tile, chunk, block.rows.dz + now, W);
    return;
  }
  if (n >= ring_chunks) wait_for(to.consumed, int(n + 1 - ring_chunks));
  __syncwarp();
  float* ring = to.chunk(n, block.links.steps) + my.lane;
  const bool passed_on = shortcut_passes(block.p.size, block.p.options, block.layer);
  project_back(block.p, block.seed, W, my, block.layer, chunk, block.rows.dz + now, [&](int t, float dx) {
    const int at = now + t * warp_lanes + my.lane;
    ring[2 * t * warp_lanes] = passed_on ? dx + block.rows.dy_above[at] : dx;
    ring[(2 * t + 1) * warp_lanes] = block.rows.dy[at];
  });
}

template <int G>
__device__ void link_warp(const Block<G>& block) {
  const int lane = threadIdx.x % warp_lanes;
  const int64_t count = block.chunks.count, pipe = block.chunks.pipe;
  const Link from = block.layer + 1 < block.p.size.L ? block.links.link(pipe, block.layer + 1) : Link();
  const Link to = block.links.link(pipe, block.layer);
  float4 W[G];
  load_columns(block.packed.W(block.layer, 0), lane % G, W);
  for (int64_t n = 0; n < count + 3; ++n) {
    if (n >= 3 && block.layer > 0 && lane == 0) store_release(to.complete, int(n - 2));
    if (n >= 2 && n < count + 2) send(block, W, to, n - 2);
    if (n < count) receive(block, from, n);
    block_barrier();
  }
}

template <int G>
__device__ void cells_warp(const Block<G>& block) {
  const AnyBackward& p = block.p;
  const int lane = threadIdx.x % warp_lanes;
  const float4 peephole = block.packed.peephole(block.layer)[lane % G];
  float4 U[G];
  load_columns(block.packed.U(block.layer), lane % G, U);
  Carry carry = {0, 0};
  UnitGradients sums;
  block_barrier();
  for (int64_t n = 0; n < block.chunks.count; ++n) {
    const Lane<G> my = block.lane(n);
    const int64_t index = block.chunk_index(n);
    const int now = side(n, block.links.steps);
    if (index + 1 == block.chunks.of_bundle)
      carry = {read_state(p, p.grad_h_n, block.layer, my), read_state(p, p.grad_c_n, block.layer, my)};
    recur(p, U, peephole, my, block.layer, block.chunk(n), block.rows.dy + now, block.rows.dz + now,
          block.rows.h_before + now, carry, sums);
    if (index == 0) {
      write_state(p, p.grad_h_0, block.layer, my, carry.dh);
      write_state(p, p.grad_c_0, block.layer, my, carry.dc);
    }
    block_barrier();
  }
  block_barrier();
  block_barrier();  // nobody reads the rows any more
  auto* of_lane = reinterpret_cast<UnitGradients*>(block.rows.dz);
  of_lane[lane] = sums;
  __syncwarp();
  if (lane < G) write_unit_gradients(of_lane, warp_lanes, block.gradients, block.layer, true);
}

// Adds a chunk to the panel. With several tiles, which only the first layer has, the sums cannot stay in registers.
template <int G>
__device__ void add_chunk(const Block<G>& block, Panel<G>& panel, int64_t n) {
  const int now = side(n, block.links.steps);
  for (int64_t tile = 0; tile < block.tiles(); ++tile) {
    if (block.tiles() > 1) panel.clear();
    panel.add(block.rows.dz + now, block.x(n, tile), block.rows.h_before + now, block.chunk(n).steps);
    if (block.tiles() > 1) panel.write(block.gradients, block.layer, tile, tile == 0, n == 0);
  }
}

template <int G>
__device__ void panel_warp(const Block<G>& block, int warp) {
  Panel<G> panel(warp);
  block_barrier();
  for (int64_t n = 1; n < block.chunks.count + 2; ++n) {
    if (warp == 0 && n <= block.chunks.count)
      for (int64_t tile = 0; tile < block.tiles(); ++tile)
        stage_x(block.p, block.seed, block.lane(n - 1), block.layer, tile, block.chunk(n - 1), block.x(n - 1, tile));
    if (n >= 2) add_chunk(block, panel, n - 2);
    block_barrier();
  }
  block_barrier();
  if (block.tiles() == 1) panel.write(block.gradients, block.layer, 0, true, true);
}

template <int G>
__global__ void __launch_bounds__(wavefront_backward_warps* warp_lanes, wavefront_backward_resident(G))
    backward_kernel(AnyBackward p, const int64_t* seed_on_device, WavefrontBackwardWorkspace<G> w,
                    Partition partition) {
  const int64_t layer = blockIdx.x % p.size.L, pipe = blockIdx.x / p.size.L;
  w.gradients.base += pipe * Packed<G>::size(p.size);
  Memory memory = shared_memory();
  const Block<G> block = {p,
                          dropout_seed(p, seed_on_device),
                          w.packed,
                          w.gradients,
                          w.links,
                          layer,
                          PipeChunks<G>(p.size, partition, pipe),
                          WavefrontBackwardRows(memory, partition.steps, Packed<G>::tiles(p.size, 0))};
  const int warp = warp_index();
  if (warp == 0)
    cells_warp(block);
  else if (warp == 1)
    link_warp(block);
  else
    panel_warp(block, warp - 2);
}

}  // namespace

const char* wavefront_backward(const Plan& plan, const AnyBackward& p, const Context& context, void* workspace) {
  return with_lanes(plan.partition.lanes, [&](auto lanes) {
    const Partition& partition = plan.partition;
    Memory memory(workspace);
    const WavefrontBackwardWorkspace<lanes> w(memory, p.size, partition);
    if (const char* error = pack(p, p.type, w.packed, context, w.links.flags, w.links.flag_count)) return error;
    const int64_t tiles = Packed<lanes>::tiles(p.size, 0);
    const int64_t shared_bytes = bytes_of<WavefrontBackwardRows>(partition.steps, tiles);
    if (const char* error = launch_kernel(context, {partition.blocks, wavefront_backward_warps, shared_bytes, true},
                                          backward_kernel<lanes>, p, context.seed, w, partition))
      return error;
    return unpack(p, w.gradients, partition.pipes, context);
  });
}

}  // namespace resblock::cuda
