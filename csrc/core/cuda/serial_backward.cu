// Serial schedule, backward: the walk of serial_forward.cu back. Gates are read as the forward pass stored them:
// computing them again would cost the projections and twice the nonlinear functions, and the walk is bound by
// instructions, not by memory. The four warps of a block keep in step, layer by layer, because they share the sums of
// the weights' gradients: one set for each block, which the last kernel adds up in order.
#include "core/cuda/launch_kernel.h"
#include "core/cuda/narrow_backward.h"
#include "core/cuda/pack.h"
#include "core/cuda/schedules.h"
#include "core/cuda/serial.h"

namespace resblock::cuda {
namespace {

static_assert(panel_warps == serial_warps, "the warps of a block share its panels");

// The chunk at hand of a warp, in shared memory.
struct Rows {
  float4* dz;       // (steps, 32)
  float* h_before;  // (steps, 32)
  float* x;         // (steps, 32)
  float* dy;        // (steps, 32)  gradient of this layer's y; becomes that of the layer below
  float* dy_above;  // (steps, 32)  and of the layer above

  UnitGradients* of_lane;  // (threads,): all of the block's

  RESBLOCK_INLINE Rows(Memory& memory, int warp)
      : dz(take_rows<float4>(memory, warp, serial_steps)),
        h_before(take_rows<float>(memory, warp, serial_steps)),
        x(take_rows<float>(memory, warp, serial_steps)),
        dy(take_rows<float>(memory, warp, serial_steps)),
        dy_above(take_rows<float>(memory, warp, serial_steps)),
        of_lane(memory.take<UnitGradients>(serial_warps * warp_lanes)) {}
};

__device__ __forceinline__ Rows rows_of(int warp) {
  Memory memory = shared_memory();
  return Rows(memory, warp);
}

// Sums over the rows of all warps of the block.
template <int G>
__device__ void add_panels(int warp, int steps, const Packed<G>& gradients, int64_t layer, int64_t tile, bool replace) {
  Panel<G> panel(warp);
  for (int k = 0; k < serial_warps; ++k) {
    const Rows rows = rows_of(k);
    panel.add(rows.dz, rows.x, rows.h_before, steps);
  }
  panel.write(gradients, layer, tile, tile == 0, replace);
}

template <int G>
__device__ void layer_backward(const AnyBackward& p, uint64_t seed, const Packed<G>& packed, const Lane<G>& my,
                               int64_t layer, const Chunk& chunk, const Rows& rows, Carry& carry,
                               const Packed<G>& gradients, bool replace) {
  const int warp = warp_index();
  float4 weights[G];
  {
    UnitGradients sums;
    load_columns(packed.U(layer), my.unit, weights);
    recur(p, weights, packed.peephole(layer)[my.unit], my, layer, chunk, rows.dy, rows.dz, rows.h_before, carry, sums);
    rows.of_lane[threadIdx.x] = sums;
  }
  for (int64_t tile = 0; tile < Packed<G>::tiles(p.size, layer); ++tile) {
    if (tile > 0) __syncthreads();  // the panels of the tile before have been read
    stage_x(p, seed, my, layer, tile, chunk, rows.x);
    __syncthreads();
    add_panels(warp, chunk.steps, gradients, layer, tile, replace);
    if (layer == 0) write_grad_input(p, packed, my, tile, chunk, rows.dz, weights);
  }
  if (threadIdx.x < G) write_unit_gradients(rows.of_lane, serial_warps * warp_lanes, gradients, layer, replace);
  if (layer > 0) {
    load_columns(packed.W(layer, 0), my.unit, weights);
    const bool passed_on = shortcut_passes(p.size, p.options, layer);
    project_back(p, seed, weights, my, layer, chunk, rows.dz, [&](int t, float dx) {
      float &dy = rows.dy[t * warp_lanes + my.lane], &above = rows.dy_above[t * warp_lanes + my.lane];
      const float below = passed_on ? dx + above : dx;
      above = dy;
      dy = below;
    });
  }
  __syncthreads();  // before the next layer's rows replace these
}

template <int G>
__global__ void __launch_bounds__(serial_warps* warp_lanes, G == 32 ? 2 : 3)
    backward_kernel(AnyBackward p, const int64_t* seed_on_device, SerialBackwardWorkspace<G> w) {
  const uint64_t seed = dropout_seed(p, seed_on_device);
  const Sizes& s = p.size;
  const int warp = warp_index();
  const int64_t me = int64_t(blockIdx.x) * serial_warps + warp, chunks = serial_chunks(s);
  const Rows rows = rows_of(warp);
  w.gradients.base += blockIdx.x * Packed<G>::size(s);
  bool first = true;
  // All warps of a block take part each time, if need be without a sequence.
  for (int64_t bundle = int64_t(blockIdx.x) * serial_warps; bundle < bundles<G>(s);
       bundle += gridDim.x * serial_warps) {
    const Lane<G> my(p, bundle + warp);
    for (int64_t index = chunks - 1; index >= 0; --index) {
      const Chunk chunk(index, serial_steps, s.T);
      for (int t = 0; t < chunk.steps; ++t) rows.dy[t * warp_lanes + my.lane] = read_grad_output(p, my, chunk.t0 + t);
      for (int64_t layer = s.L - 1; layer >= 0; --layer) {
        Carry* between = w.carries + (me * s.L + layer) * warp_lanes + my.lane;
        Carry carry;
        if (index + 1 < chunks)
          carry = *between;
        else
          carry = {read_state(p, p.grad_h_n, layer, my), read_state(p, p.grad_c_n, layer, my)};
        layer_backward(p, seed, w.packed, my, layer, chunk, rows, carry, w.gradients, first);
        if (index > 0) {
          *between = carry;
        } else {
          write_state(p, p.grad_h_0, layer, my, carry.dh);
          write_state(p, p.grad_c_0, layer, my, carry.dc);
        }
      }
      first = false;
    }
  }
}

}  // namespace

const char* serial_backward(const Plan& plan, const AnyBackward& p, const Context& context, void* workspace) {
  return with_lanes(plan.partition.lanes, [&](auto lanes) {
    const int64_t blocks = plan.partition.blocks;
    Memory memory(workspace);
    const SerialBackwardWorkspace<lanes> w(memory, p.size, plan.partition);
    if (const char* error = pack(p, p.type, w.packed, context)) return error;
    if (const char* error = launch_kernel(context, {blocks, serial_warps, bytes_of<Rows>(0)}, backward_kernel<lanes>, p,
                                          context.seed, w))
      return error;
    return unpack(p, w.gradients, bundles<lanes>(p.size) ? blocks : 0, context);
  });
}

}  // namespace resblock::cuda
