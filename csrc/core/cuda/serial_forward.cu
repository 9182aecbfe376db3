// Serial schedule, forward: for many sequences. A warp takes a bundle of them through all layers, chunk of time by
// chunk of time; warps know nothing of each other and wait for nobody.
#include "core/cuda/launch_kernel.h"
#include "core/cuda/narrow_forward.h"
#include "core/cuda/pack.h"
#include "core/cuda/schedules.h"
#include "core/cuda/serial.h"

namespace resblock::cuda {
namespace {

// The chunk at hand of a warp, in shared memory.
struct Rows {
  float4* z;     // (steps, 32)
  float* below;  // (steps, 32)  y of the layer below; the layer at hand replaces it by its own
  float* skip;   // (steps, 32)  y of the layer below that
  float* x;      // (steps, 32)  inputs, after dropout
  float* h;      // (2, 32)

  RESBLOCK_INLINE Rows(Memory& memory, int warp)
      : z(take_rows<float4>(memory, warp, serial_steps)),
        below(take_rows<float>(memory, warp, serial_steps)),
        skip(take_rows<float>(memory, warp, serial_steps)),
        x(take_rows<float>(memory, warp, serial_steps)),
        h(take_rows<float>(memory, warp, 2)) {}
};

template <int G>
__device__ void layer_forward(const AnyForward& p, uint64_t seed, const Packed<G>& packed, const Lane<G>& my,
                              int64_t layer, const Chunk& chunk, const Rows& rows, CellState<float>& state) {
  float4 weights[G];
  project_tiles(p, seed, packed, my, layer, chunk, rows.below, rows.x, rows.z, weights);
  load_rows(packed.U(layer), my.unit, weights);
  const bool shortcut = has_shortcut(p.options, layer);
  recur(p, weights, packed.peephole(layer)[my.unit], rows.z, rows.h, my, chunk, state,
        [&](int t, const Gates<float>& gate, const CellState<float>& now, bool active) {
          float &below = rows.below[t * warp_lanes + my.lane], &skip = rows.skip[t * warp_lanes + my.lane];
          const float y = !active ? 0.f : shortcut ? now.h + skip : now.h;
          skip = below;
          below = y;
          write_cell(p, my, layer, chunk.t0 + t, gate, now.c, y, active);
        });
}

template <int G>
__global__ void __launch_bounds__(serial_warps* warp_lanes, G == 8 ? 4 : 2)
    forward_kernel(AnyForward p, const int64_t* seed_on_device, SerialForwardWorkspace<G> w) {
  const uint64_t seed = dropout_seed(p, seed_on_device);
  const Sizes& s = p.size;
  const int warp = warp_index();
  const int64_t warps = int64_t(gridDim.x) * serial_warps, me = int64_t(blockIdx.x) * serial_warps + warp;
  Memory memory = shared_memory();
  const Rows rows(memory, warp);
  const int64_t chunks = serial_chunks(s);
  for (int64_t bundle = me; bundle < bundles<G>(s); bundle += warps) {
    const Lane<G> my(p, bundle);
    for (int64_t index = 0; index < chunks; ++index) {
      const Chunk chunk(index, serial_steps, s.T);
      for (int64_t layer = 0; layer < s.L; ++layer) {
        // Between its chunks a layer's state rests in the workspace.
        CellState<float>* between = w.states + (me * s.L + layer) * warp_lanes + my.lane;
        CellState<float> state;
        if (index > 0)
          state = *between;
        else
          state = {read_state(p, p.c_0, layer, my), read_state(p, p.h_0, layer, my)};
        layer_forward(p, seed, w.packed, my, layer, chunk, rows, state);
        if (index + 1 < chunks) {
          *between = state;
        } else {
          write_state(p, p.h_n, layer, my, state.h);
          write_state(p, p.c_n, layer, my, state.c);
        }
      }
    }
  }
}

}  // namespace

const char* serial_forward(const Plan& plan, const AnyForward& p, const Context& context, void* workspace) {
  return with_lanes(plan.partition.lanes, [&](auto lanes) {
    Memory memory(workspace);
    const SerialForwardWorkspace<lanes> w(memory, p.size, plan.partition);
    if (const char* error = pack(p, p.type, w.packed, context)) return error;
    return launch_kernel(context, {plan.partition.blocks, serial_warps, bytes_of<Rows>(0)}, forward_kernel<lanes>, p,
                         context.seed, w);
  });
}

}  // namespace resblock::cuda
