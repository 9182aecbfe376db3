// Wavefront schedule, backward: the reversed diagonal. The last layer begins, with the last chunk. Of the warps of a
// block one runs the cells, one is the link to the neighbours, and the others sum the gradients of the weights, in
// registers until the end.
//
//     turn n    link:  receive dy of chunk n, dx of chunk n - 2, tell the layer below of chunk n - 3
//               cells: chunk n - 1
//               panels: chunk n - 2, and fetch x of chunk n - 1
#include "core/cuda/narrow_backward.h"
#include "core/cuda/pack.h"
#include "core/cuda/wavefront.h"

namespace resblock::cuda {
namespace {

constexpr int block_warps = 2 + panel_warps;

// Shared memory of a block. What one warp leaves to another is there twice: one of them writes while one reads.
struct Rows {
  float4* dz;       // (2, steps, 32)
  float* h_before;  // (2, steps, 32)
  float* dy;        // (2, steps, 32)  gradient of this layer's y
  float* dy_above;  // (2, steps, 32)  and of that of the layer above
  float* x;         // (2, tiles, steps, 32)

  RESBLOCK_INLINE static constexpr int floats(int steps, int tiles) { return (14 + 2 * tiles) * steps * warp_lanes; }

  __device__ Rows(float4* shared, int steps) : dz(shared) {
    h_before = reinterpret_cast<float*>(dz + 2 * steps * warp_lanes);
    dy = h_before + 2 * steps * warp_lanes;
    dy_above = dy + 2 * steps * warp_lanes;
    x = dy_above + 2 * steps * warp_lanes;
  }
};

// Which of the two a turn uses.
__device__ __forceinline__ int side(int64_t turn, int steps) { return int(turn & 1) * steps * warp_lanes; }

// All that the warps of a block have in common. Turns count chunks from the last one of a bundle to its first.
template <class S, int G>
struct Block {
  const Backward<S>& p;
  uint64_t seed;
  Packed<G> packed, gradients;
  Wave wave;
  int64_t layer;
  Turns<G> turns;
  Rows rows;

  __device__ int64_t chunk_index(int64_t turn) const { return turns.chunks - 1 - turn % turns.chunks; }
  __device__ Chunk chunk(int64_t turn) const { return Chunk(chunk_index(turn), wave.steps, p.size.T); }
  __device__ Lane<G> lane(int64_t turn) const { return Lane<G>(p, turns.bundle(turn)); }
  __device__ int64_t tiles() const { return Packed<G>::tiles(p.size, layer); }
  __device__ float* x(int64_t turn, int64_t tile) const {
    return rows.x + ((turn & 1) * Packed<G>::tiles(p.size, 0) + tile) * wave.steps * warp_lanes;
  }
};

template <class S, int G>
__device__ void receive(const Block<S, G>& block, const Link& from, int64_t turn) {
  const Lane<G> my = block.lane(turn);
  const Chunk chunk = block.chunk(turn);
  float *dy = block.rows.dy + side(turn, block.wave.steps), *above = block.rows.dy_above + side(turn, block.wave.steps);
  if (block.layer + 1 == block.p.size.L) {
    for (int t = 0; t < chunk.steps; ++t) dy[t * warp_lanes + my.lane] = read_grad_output(block.p, my, chunk.t0 + t);
    return;
  }
  wait_for(from.complete, int(turn + 1));
  __syncwarp();
  const float* ring = from.chunk(turn, block.wave.steps) + my.lane;
  for (int t = 0; t < chunk.steps; ++t) {
    dy[t * warp_lanes + my.lane] = ring[2 * t * warp_lanes];
    above[t * warp_lanes + my.lane] = ring[(2 * t + 1) * warp_lanes];
  }
  __syncwarp();
  if (my.lane == 0) store_release(from.consumed, int(turn + 1));
}

// The gradient of what came into the layer.
template <class S, int G>
__device__ void send(const Block<S, G>& block, float4 (&W)[G], const Link& to, int64_t turn) {
  const Lane<G> my = block.lane(turn);
  const Chunk chunk = block.chunk(turn);
  const int now = side(turn, block.wave.steps);
  if (block.layer == 0) {
    for (int64_t tile = 0; tile < block.tiles(); ++tile)
      write_grad_input(block.p, block.packed, my, tile, chunk, block.rows.dz + now, W);
    return;
  }
  if (turn >= ring_chunks) wait_for(to.consumed, int(turn + 1 - ring_chunks));
  __syncwarp();
  float* ring = to.chunk(turn, block.wave.steps) + my.lane;
  const bool passed_on = passes_on(block.p.options, block.p.size, block.layer);
  project_back(block.p, block.seed, W, my, block.layer, chunk, block.rows.dz + now, [&](int t, float dx) {
    const int at = now + t * warp_lanes + my.lane;
    ring[2 * t * warp_lanes] = passed_on ? dx + block.rows.dy_above[at] : dx;
    ring[(2 * t + 1) * warp_lanes] = block.rows.dy[at];
  });
}

template <class S, int G>
__device__ void link_warp(const Block<S, G>& block) {
  const int lane = threadIdx.x % warp_lanes;
  const int64_t count = block.turns.count, pipe = block.turns.pipe;
  const Link from = block.layer + 1 < block.p.size.L ? block.wave.link(pipe, block.layer + 1) : Link();
  const Link to = block.wave.link(pipe, block.layer);
  float4 W[G];
  load_columns(block.packed.W(block.layer, 0), lane % G, W);
  for (int64_t turn = 0; turn < count + 3; ++turn) {
    if (turn >= 3 && block.layer > 0 && lane == 0) store_release(to.complete, int(turn - 2));
    if (turn >= 2 && turn < count + 2) send(block, W, to, turn - 2);
    if (turn < count) receive(block, from, turn);
    block_barrier();
  }
}

template <class S, int G>
__device__ void cells_warp(const Block<S, G>& block) {
  const Backward<S>& p = block.p;
  const int lane = threadIdx.x % warp_lanes;
  const float4 peephole = block.packed.peephole(block.layer)[lane % G];
  float4 U[G];
  load_columns(block.packed.U(block.layer), lane % G, U);
  Carry carry = {0, 0};
  UnitGradients sums;
  block_barrier();
  for (int64_t turn = 0; turn < block.turns.count; ++turn) {
    const Lane<G> my = block.lane(turn);
    const int64_t index = block.chunk_index(turn);
    const int now = side(turn, block.wave.steps);
    if (index + 1 == block.turns.chunks)
      carry = {read_state(p.grad_h_n, p.size, block.layer, my), read_state(p.grad_c_n, p.size, block.layer, my)};
    recur(p, U, peephole, my, block.layer, block.chunk(turn), block.rows.dy + now, block.rows.dz + now,
          block.rows.h_before + now, carry, sums);
    if (index == 0) {
      write_state(p.grad_h_0, p.size, block.layer, my, carry.dh);
      write_state(p.grad_c_0, p.size, block.layer, my, carry.dc);
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
template <class S, int G>
__device__ void add_chunk(const Block<S, G>& block, Panel<G>& panel, int64_t turn) {
  const int now = side(turn, block.wave.steps);
  for (int64_t tile = 0; tile < block.tiles(); ++tile) {
    if (block.tiles() > 1) panel.clear();
    panel.add(block.rows.dz + now, block.x(turn, tile), block.rows.h_before + now, block.chunk(turn).steps);
    if (block.tiles() > 1) panel.write(block.gradients, block.layer, tile, tile == 0, turn == 0);
  }
}

template <class S, int G>
__device__ void panel_warp(const Block<S, G>& block, int warp) {
  Panel<G> panel(warp);
  block_barrier();
  for (int64_t turn = 1; turn < block.turns.count + 2; ++turn) {
    if (warp == 0 && turn <= block.turns.count)
      for (int64_t tile = 0; tile < block.tiles(); ++tile)
        stage_x(block.p, block.seed, block.lane(turn - 1), block.layer, tile, block.chunk(turn - 1),
                block.x(turn - 1, tile));
    if (turn >= 2) add_chunk(block, panel, turn - 2);
    block_barrier();
  }
  block_barrier();
  if (block.tiles() == 1) panel.write(block.gradients, block.layer, 0, true, true);
}

template <class S, int G>
__global__ void __launch_bounds__(block_warps* warp_lanes)
    backward_kernel(Backward<S> p, const int64_t* seed_on_device, Packed<G> packed, Packed<G> gradients, Wave wave) {
  const uint64_t seed = seed_on_device ? uint64_t(*seed_on_device) : p.options.seed;
  const int64_t layer = blockIdx.x % p.size.L, pipe = blockIdx.x / p.size.L;
  gradients.base += pipe * Packed<G>::size(p.size);
  const Block<S, G> block = {
      p, seed, packed, gradients, wave, layer, Turns<G>(p.size, wave, pipe), Rows(shared_memory(), wave.steps)};
  const int warp = warp_index();
  if (warp == 0)
    cells_warp(block);
  else if (warp == 1)
    link_warp(block);
  else
    panel_warp(block, warp - 2);
}

template <int G>
int shared_floats(const Sizes& s) {
  return Rows::floats(wavefront_steps(s), int(Packed<G>::tiles(s, 0)));
}

}  // namespace

template <class S, int G>
Wave WavefrontBackward<S, G>::cut(const Sizes& s) {
  const auto kernel = reinterpret_cast<const void*>(backward_kernel<S, G>);
  return cut_wave<G>(s, resident_blocks(kernel, block_warps, shared_floats<G>(s)));
}

template <class S, int G>
size_t WavefrontBackward<S, G>::workspace(const Backward<S>& p) {
  const Wave wave = cut(p.size);
  return size_t((1 + wave.pipes) * Packed<G>::size(p.size)) * sizeof(float4) + wave.bytes();
}

template <class S, int G>
const char* WavefrontBackward<S, G>::launch(const Backward<S>& p, const Context& context, void* workspace) {
  const int64_t size = Packed<G>::size(p.size);
  const Packed<G> packed = {static_cast<float4*>(workspace), p.size.L}, gradients = {packed.base + size, p.size.L};
  Wave wave = cut(p.size);
  wave.rings = reinterpret_cast<float*>(gradients.base + wave.pipes * size);
  wave.flags = reinterpret_cast<int*>(wave.rings + wave.pipes * wave.layers * wave.ring_floats());
  if (const char* error = launch_pack(p, packed, context, wave.flags, wave.flag_count())) return error;
  if (const char* error = launch_kernel(context, {wave.pipes * p.size.L, block_warps, shared_floats<G>(p.size), true},
                                        backward_kernel<S, G>, p, context.seed, packed, gradients, wave))
    return error;
  return launch_unpack(p, gradients, wave.pipes, context);
}

#define RESBLOCK_INSTANTIATE(S)             \
  template struct WavefrontBackward<S, 8>;  \
  template struct WavefrontBackward<S, 16>; \
  template struct WavefrontBackward<S, 32>;
RESBLOCK_INSTANTIATE(float)
RESBLOCK_INSTANTIATE(bfloat16)
RESBLOCK_INSTANTIATE(float16)

}  // namespace resblock::cuda
