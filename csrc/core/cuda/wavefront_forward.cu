// Wavefront schedule, forward. Of the two warps of a block one makes z = W x + b of a chunk while the other runs the
// cells of the chunk before; all waiting is the first one's.
//
//     project chunk n      cells of chunk n - 1      tell the next layer of chunk n - 2
#include "core/cuda/launch_kernel.h"
#include "core/cuda/narrow_forward.h"
#include "core/cuda/pack.h"
#include "core/cuda/schedules.h"
#include "core/cuda/wavefront.h"

namespace resblock::cuda {
namespace {

// The chunk of the layer below, from its ring into shared memory.
__device__ void receive(const Link& from, int64_t n, int steps, int chunk_steps, int lane, float* below, float* skip) {
  wait_for(from.complete, int(n + 1));
  __syncwarp();
  const float* ring = from.chunk(n, steps) + lane;
  for (int t = 0; t < chunk_steps; ++t) {
    below[t * warp_lanes + lane] = ring[2 * t * warp_lanes];
    skip[t * warp_lanes + lane] = ring[(2 * t + 1) * warp_lanes];
  }
  __syncwarp();
  if (lane == 0) store_release(from.consumed, int(n + 1));
}

template <int G>
__device__ void projecting_warp(const AnyForward& p, uint64_t seed, const Packed<G>& packed, const Links& links,
                                int64_t layer, const PipeChunks<G>& chunks, const WavefrontForwardRows& rows) {
  const int lane = threadIdx.x % warp_lanes;
  const bool is_last = layer + 1 == p.size.L;
  const Link from = layer ? links.link(chunks.pipe, layer - 1) : Link(), to = links.link(chunks.pipe, layer);
  const float4 bias = packed.bias(layer)[lane % G];
  float4 W[G];
  load_rows(packed.W(layer, 0), lane % G, W);
  for (int64_t n = 0; n < chunks.count + 2; ++n) {
    if (n >= 2 && !is_last && lane == 0) store_release(to.complete, int(n - 1));
    if (n < chunks.count) {
      const Lane<G> my(p, chunks.bundle(n));
      const Chunk chunk(n % chunks.of_bundle, links.steps, p.size.T);
      const int now = side(n, links.steps);
      if (layer == 0) {
        project_tiles(p, seed, packed, my, layer, chunk, nullptr, rows.x, rows.z + now, W);
      } else {
        receive(from, n, links.steps, chunk.steps, lane, rows.below + now, rows.skip + now);
        const float* x = input_rows(p, seed, my, layer, 0, chunk, rows.below + now, rows.x);
        project(W, bias, true, x, chunk.steps, my, rows.z + now);
      }
      // Room for what the cells are going to write next.
      if (!is_last && n >= ring_chunks) wait_for(to.consumed, int(n + 1 - ring_chunks));
    }
    block_barrier();
  }
}

template <int G>
__device__ void cells_warp(const AnyForward& p, const Packed<G>& packed, const Links& links, int64_t layer,
                           const PipeChunks<G>& chunks, const WavefrontForwardRows& rows) {
  const int lane = threadIdx.x % warp_lanes;
  const Link to = links.link(chunks.pipe, layer);
  const bool shortcut = has_shortcut(p.options, layer), is_last = layer + 1 == p.size.L;
  const float4 peephole = packed.peephole(layer)[lane % G];
  float4 U[G];
  load_rows(packed.U(layer), lane % G, U);
  CellState<float> state = {0, 0};
  block_barrier();
  for (int64_t n = 0; n < chunks.count; ++n) {
    const Lane<G> my(p, chunks.bundle(n));
    const int64_t index = n % chunks.of_bundle;
    const Chunk chunk(index, links.steps, p.size.T);
    const int now = side(n, links.steps);
    if (index == 0) state = {read_state(p, p.c_0, layer, my), read_state(p, p.h_0, layer, my)};
    float* ring = to.chunk(n, links.steps) + lane;
    recur(p, U, peephole, rows.z + now, rows.h, my, chunk, state,
          [&](int t, const Gates<float>& gate, const CellState<float>& cell, bool active) {
            const int at = now + t * warp_lanes + lane;
            const float y = !active ? 0.f : shortcut ? cell.h + rows.skip[at] : cell.h;
            if (!is_last) {
              ring[2 * t * warp_lanes] = y;
              ring[(2 * t + 1) * warp_lanes] = layer ? rows.below[at] : 0.f;
            }
            write_cell(p, my, layer, chunk.t0 + t, gate, cell.c, y, active);
          });
    if (index + 1 == chunks.of_bundle) {
      write_state(p, p.h_n, layer, my, state.h);
      write_state(p, p.c_n, layer, my, state.c);
    }
    block_barrier();
  }
  block_barrier();
}

template <int G>
__global__ void __launch_bounds__(wavefront_forward_warps* warp_lanes, wavefront_forward_resident(G))
    forward_kernel(AnyForward p, const int64_t* seed_on_device, WavefrontForwardWorkspace<G> w, Partition partition) {
  const uint64_t seed = dropout_seed(p, seed_on_device);
  const int64_t layer = blockIdx.x % p.size.L;
  const PipeChunks<G> chunks(p.size, partition, blockIdx.x / p.size.L);
  Memory memory = shared_memory();
  const WavefrontForwardRows rows(memory, partition.steps);
  if (warp_index() == 0)
    cells_warp(p, w.packed, w.links, layer, chunks, rows);
  else
    projecting_warp(p, seed, w.packed, w.links, layer, chunks, rows);
}

}  // namespace

const char* wavefront_forward(const Plan& plan, const AnyForward& p, const Context& context, void* workspace) {
  return with_lanes(plan.partition.lanes, [&](auto lanes) {
    const Partition& partition = plan.partition;
    Memory memory(workspace);
    const WavefrontForwardWorkspace<lanes> w(memory, p.size, partition);
    if (const char* error = pack(p, p.type, w.packed, context, w.links.flags, w.links.flag_count)) return error;
    const int64_t shared_bytes = bytes_of<WavefrontForwardRows>(partition.steps);
    return launch_kernel(context, {partition.blocks, wavefront_forward_warps, shared_bytes, true},
                         forward_kernel<lanes>, p, context.seed, w, partition);
  });
}

}  // namespace resblock::cuda
