// Serial schedule, backward: the walk of serial_forward.cu back. Gates are read as the forward pass stored them:
// computing them again would cost the projections and twice the nonlinear functions, and the walk is bound by
// instructions, not by memory. The four warps of a block keep in step, layer by layer, because they share the sums of
// the weights' gradients: one set for each block, which the last kernel adds up in order.
#include "core/cuda/narrow_backward.h"
#include "core/cuda/pack.h"
#include "core/cuda/serial.h"

namespace resblock::cuda {
namespace {

static_assert(panel_warps == serial_warps, "the warps of a block share its panels");

// What a warp keeps of the chunk at hand in shared memory.
struct Rows {
  float4* dz;       // (steps, 32)
  float* h_before;  // (steps, 32)
  float* x;         // (steps, 32)
  float* dy;        // (steps, 32)  gradient of this layer's y; becomes that of the layer below
  float* dy_above;  // (steps, 32)  and of the layer above

  static constexpr int floats = 8 * serial_steps * warp_lanes;

  __device__ explicit Rows(float4* shared) : dz(shared) {
    h_before = reinterpret_cast<float*>(dz + serial_steps * warp_lanes);
    x = h_before + serial_steps * warp_lanes;
    dy = x + serial_steps * warp_lanes;
    dy_above = dy + serial_steps * warp_lanes;
  }
};

constexpr int block_floats = serial_warps * Rows::floats + serial_warps * warp_lanes * int(sizeof(UnitGradients) / 4);

// Sums over the rows of all warps of the block.
template <int G>
__device__ void add_panels(int warp, int steps, const Packed<G>& gradients, int64_t layer, int64_t tile, bool replace) {
  Panel<G> panel(warp);
  for (int k = 0; k < serial_warps; ++k) {
    const Rows rows(shared_memory() + k * Rows::floats / 4);
    panel.add(rows.dz, rows.x, rows.h_before, steps);
  }
  panel.write(gradients, layer, tile, tile == 0, replace);
}

template <int G, class S>
__device__ void layer_backward(const Backward<S>& p, uint64_t seed, const Packed<G>& packed, const Lane<G>& my,
                               int64_t layer, const Chunk& chunk, const Rows& rows, Carry& carry,
                               const Packed<G>& gradients, bool replace) {
  const int warp = warp_index();
  auto* of_lane = reinterpret_cast<UnitGradients*>(shared_memory() + serial_warps * Rows::floats / 4);
  float4 weights[G];
  {
    UnitGradients sums;
    load_columns(packed.U(layer), my.unit, weights);
    recur(p, weights, packed.peephole(layer)[my.unit], my, layer, chunk, rows.dy, rows.dz, rows.h_before, carry, sums);
    of_lane[threadIdx.x] = sums;
  }
  for (int64_t tile = 0; tile < Packed<G>::tiles(p.size, layer); ++tile) {
    if (tile > 0) __syncthreads();  // the panels of the tile before have been read
    stage_x(p, seed, my, layer, tile, chunk, rows.x);
    __syncthreads();
    add_panels(warp, chunk.steps, gradients, layer, tile, replace);
    if (layer == 0) write_grad_input(p, packed, my, tile, chunk, rows.dz, weights);
  }
  if (threadIdx.x < G) write_unit_gradients(of_lane, serial_warps * warp_lanes, gradients, layer, replace);
  if (layer > 0) {
    load_columns(packed.W(layer, 0), my.unit, weights);
    const bool passed_on = passes_on(p.options, p.size, layer);
    project_back(p, seed, weights, my, layer, chunk, rows.dz, [&](int t, float dx) {
      float &dy = rows.dy[t * warp_lanes + my.lane], &above = rows.dy_above[t * warp_lanes + my.lane];
      const float below = passed_on ? dx + above : dx;
      above = dy;
      dy = below;
    });
  }
  __syncthreads();  // before the next layer's rows replace these
}

template <class S, int G>
__global__ void __launch_bounds__(serial_warps* warp_lanes)
    backward_kernel(Backward<S> p, const int64_t* seed_on_device, Packed<G> packed, Packed<G> gradients,
                    Carry* carries) {
  const uint64_t seed = seed_on_device ? uint64_t(*seed_on_device) : p.options.seed;
  const Sizes& s = p.size;
  const int warp = warp_index();
  const int64_t me = int64_t(blockIdx.x) * serial_warps + warp, chunks = serial_chunks(s);
  const Rows rows(shared_memory() + warp * Rows::floats / 4);
  gradients.base += blockIdx.x * Packed<G>::size(s);
  bool first = true;
  // All warps of a block take part in every turn, if need be without a sequence.
  for (int64_t turn = int64_t(blockIdx.x) * serial_warps; turn < bundles<G>(s); turn += gridDim.x * serial_warps) {
    const Lane<G> my(p, turn + warp);
    for (int64_t index = chunks - 1; index >= 0; --index) {
      const Chunk chunk(index, serial_steps, s.T);
      for (int t = 0; t < chunk.steps; ++t) rows.dy[t * warp_lanes + my.lane] = read_grad_output(p, my, chunk.t0 + t);
      for (int64_t layer = s.L - 1; layer >= 0; --layer) {
        Carry* kept = carries + (me * s.L + layer) * warp_lanes + my.lane;
        Carry carry;
        if (index + 1 < chunks)
          carry = *kept;
        else
          carry = {read_state(p.grad_h_n, s, layer, my), read_state(p.grad_c_n, s, layer, my)};
        layer_backward(p, seed, packed, my, layer, chunk, rows, carry, gradients, first);
        if (index > 0) {
          *kept = carry;
        } else {
          write_state(p.grad_h_0, s, layer, my, carry.dh);
          write_state(p.grad_c_0, s, layer, my, carry.dc);
        }
      }
      first = false;
    }
  }
}

}  // namespace

template <class S, int G>
size_t SerialBackward<S, G>::workspace(const Backward<S>& p) {
  const int64_t blocks = serial_backward_blocks<G>(p.size);
  const int64_t carries = serial_chunks(p.size) > 1 ? blocks * serial_warps * p.size.L * warp_lanes : 0;
  return size_t((1 + blocks) * Packed<G>::size(p.size)) * sizeof(float4) + size_t(carries) * sizeof(Carry);
}

template <class S, int G>
const char* SerialBackward<S, G>::launch(const Backward<S>& p, const Context& context, void* workspace) {
  const int64_t blocks = serial_backward_blocks<G>(p.size), size = Packed<G>::size(p.size);
  const Packed<G> packed = {static_cast<float4*>(workspace), p.size.L}, gradients = {packed.base + size, p.size.L};
  auto* carries = reinterpret_cast<Carry*>(gradients.base + blocks * size);
  if (const char* error = launch_pack(p, packed, context)) return error;
  if (const char* error = launch_kernel(context, {blocks, serial_warps, block_floats}, backward_kernel<S, G>, p,
                                        context.seed, packed, gradients, carries))
    return error;
  return launch_unpack(p, gradients, bundles<G>(p.size) ? blocks : 0, context);
}

#define RESBLOCK_INSTANTIATE(S)          \
  template struct SerialBackward<S, 8>;  \
  template struct SerialBackward<S, 16>; \
  template struct SerialBackward<S, 32>;
RESBLOCK_INSTANTIATE(float)
RESBLOCK_INSTANTIATE(bfloat16)
RESBLOCK_INSTANTIATE(float16)

}  // namespace resblock::cuda
