// Wavefront schedule, forward. Of the two warps of a block one makes z = W x + b of a chunk while the other runs the
// cells of the chunk before; all waiting is the first one's.
//
//     turn n    project chunk n      cells of chunk n - 1      tell the next layer of chunk n - 2
#include "core/cuda/narrow_forward.h"
#include "core/cuda/pack.h"
#include "core/cuda/wavefront.h"

namespace resblock::cuda {
namespace {

constexpr int block_warps = 2;

// Shared memory of a block. What one warp leaves to the other is there twice: one of them writes while one reads.
struct Rows {
  float4* z;     // (2, steps, 32)
  float* below;  // (2, steps, 32)  y of the layer below
  float* skip;   // (2, steps, 32)  y of the layer below that
  float* x;      // (steps, 32)     inputs, after dropout
  float* h;      // (2, 32)

  RESBLOCK_INLINE static constexpr int floats(int steps) { return (13 * steps + 2) * warp_lanes; }

  __device__ Rows(float4* shared, int steps) : z(shared) {
    below = reinterpret_cast<float*>(z + 2 * steps * warp_lanes);
    skip = below + 2 * steps * warp_lanes;
    x = skip + 2 * steps * warp_lanes;
    h = x + steps * warp_lanes;
  }
};

// Which of the two a turn uses.
__device__ __forceinline__ int side(int64_t turn, int steps) { return int(turn & 1) * steps * warp_lanes; }

// The chunk of the layer below, from its ring into shared memory.
__device__ void receive(const Link& from, int64_t turn, int steps, int chunk_steps, int lane, float* below,
                        float* skip) {
  wait_for(from.complete, int(turn + 1));
  __syncwarp();
  const float* ring = from.chunk(turn, steps) + lane;
  for (int t = 0; t < chunk_steps; ++t) {
    below[t * warp_lanes + lane] = ring[2 * t * warp_lanes];
    skip[t * warp_lanes + lane] = ring[(2 * t + 1) * warp_lanes];
  }
  __syncwarp();
  if (lane == 0) store_release(from.consumed, int(turn + 1));
}

template <class S, int G>
__device__ void projecting_warp(const Forward<S>& p, uint64_t seed, const Packed<G>& packed, const Wave& wave,
                                int64_t layer, const Turns<G>& turns, const Rows& rows) {
  const int lane = threadIdx.x % warp_lanes;
  const bool is_last = layer + 1 == p.size.L;
  const Link from = layer ? wave.link(turns.pipe, layer - 1) : Link(), to = wave.link(turns.pipe, layer);
  const float4 bias = packed.bias(layer)[lane % G];
  float4 W[G];
  load_rows(packed.W(layer, 0), lane % G, W);
  for (int64_t turn = 0; turn < turns.count + 2; ++turn) {
    if (turn >= 2 && !is_last && lane == 0) store_release(to.complete, int(turn - 1));
    if (turn < turns.count) {
      const Lane<G> my(p, turns.bundle(turn));
      const Chunk chunk(turn % turns.chunks, wave.steps, p.size.T);
      const int now = side(turn, wave.steps);
      if (layer == 0) {
        project_tiles(p, seed, packed, my, layer, chunk, nullptr, rows.x, rows.z + now, W);
      } else {
        receive(from, turn, wave.steps, chunk.steps, lane, rows.below + now, rows.skip + now);
        const float* x = input_rows(p, seed, my, layer, 0, chunk, rows.below + now, rows.x);
        project(W, bias, true, x, chunk.steps, my, rows.z + now);
      }
      // Room for what the cells are going to write in the next turn.
      if (!is_last && turn >= ring_chunks) wait_for(to.consumed, int(turn + 1 - ring_chunks));
    }
    block_barrier();
  }
}

template <class S, int G>
__device__ void cells_warp(const Forward<S>& p, const Packed<G>& packed, const Wave& wave, int64_t layer,
                           const Turns<G>& turns, const Rows& rows) {
  const int lane = threadIdx.x % warp_lanes;
  const Link to = wave.link(turns.pipe, layer);
  const bool shortcut = has_shortcut(p.options, layer), is_last = layer + 1 == p.size.L;
  const float4 peephole = packed.peephole(layer)[lane % G];
  float4 U[G];
  load_rows(packed.U(layer), lane % G, U);
  CellState<float> state = {0, 0};
  block_barrier();
  for (int64_t turn = 0; turn < turns.count; ++turn) {
    const Lane<G> my(p, turns.bundle(turn));
    const int64_t index = turn % turns.chunks;
    const Chunk chunk(index, wave.steps, p.size.T);
    const int now = side(turn, wave.steps);
    if (index == 0) state = {read_state(p.c_0, p.size, layer, my), read_state(p.h_0, p.size, layer, my)};
    float* ring = to.chunk(turn, wave.steps) + lane;
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
    if (index + 1 == turns.chunks) {
      write_state(p.h_n, p.size, layer, my, state.h);
      write_state(p.c_n, p.size, layer, my, state.c);
    }
    block_barrier();
  }
  block_barrier();
}

template <class S, int G>
__global__ void __launch_bounds__(block_warps* warp_lanes)
    forward_kernel(Forward<S> p, const int64_t* seed_on_device, Packed<G> packed, Wave wave) {
  const uint64_t seed = seed_on_device ? uint64_t(*seed_on_device) : p.options.seed;
  const int64_t layer = blockIdx.x % p.size.L;
  const Turns<G> turns(p.size, wave, blockIdx.x / p.size.L);
  const Rows rows(shared_memory(), wave.steps);
  if (warp_index() == 0)
    cells_warp(p, packed, wave, layer, turns, rows);
  else
    projecting_warp(p, seed, packed, wave, layer, turns, rows);
}

}  // namespace

template <class S, int G>
Wave WavefrontForward<S, G>::cut(const Sizes& s) {
  const auto kernel = reinterpret_cast<const void*>(forward_kernel<S, G>);
  return cut_wave<G>(s, resident_blocks(kernel, block_warps, Rows::floats(wavefront_steps(s))));
}

template <class S, int G>
size_t WavefrontForward<S, G>::workspace(const Forward<S>& p) {
  return size_t(Packed<G>::size(p.size)) * sizeof(float4) + cut(p.size).bytes();
}

template <class S, int G>
const char* WavefrontForward<S, G>::launch(const Forward<S>& p, const Context& context, void* workspace) {
  const Packed<G> packed = {static_cast<float4*>(workspace), p.size.L};
  Wave wave = cut(p.size);
  wave.rings = reinterpret_cast<float*>(packed.base + Packed<G>::size(p.size));
  wave.flags = reinterpret_cast<int*>(wave.rings + wave.pipes * wave.layers * wave.ring_floats());
  if (const char* error = launch_pack(p, packed, context, wave.flags, wave.flag_count())) return error;
  return launch_kernel(context, {wave.pipes * p.size.L, block_warps, Rows::floats(wave.steps), true},
                       forward_kernel<S, G>, p, context.seed, packed, wave);
}

#define RESBLOCK_INSTANTIATE(S)            \
  template struct WavefrontForward<S, 8>;  \
  template struct WavefrontForward<S, 16>; \
  template struct WavefrontForward<S, 32>;
RESBLOCK_INSTANTIATE(float)
RESBLOCK_INSTANTIATE(bfloat16)
RESBLOCK_INSTANTIATE(float16)

}  // namespace resblock::cuda
