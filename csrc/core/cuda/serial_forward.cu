// Serial schedule, forward: for many sequences. A warp takes a bundle of them through all layers, chunk of time by
// chunk of time; warps know nothing of each other and wait for nobody.
#include "core/cuda/narrow_forward.h"
#include "core/cuda/pack.h"
#include "core/cuda/serial.h"

namespace resblock::cuda {
namespace {

// What a warp keeps of the chunk at hand in shared memory.
struct Rows {
  float4* z;     // (steps, 32)
  float* below;  // (steps, 32)  y of the layer below; the layer at hand replaces it by its own
  float* skip;   // (steps, 32)  y of the layer below that
  float* x;      // (steps, 32)  inputs, after dropout
  float* h;      // (2, 32)

  RESBLOCK_INLINE static constexpr int floats(int steps) { return (7 * steps + 2) * warp_lanes; }

  __device__ Rows(float4* shared, int steps) : z(shared) {
    below = reinterpret_cast<float*>(z + steps * warp_lanes);
    skip = below + steps * warp_lanes;
    x = skip + steps * warp_lanes;
    h = x + steps * warp_lanes;
  }
};

template <int G, class S>
__device__ void layer_forward(const Forward<S>& p, uint64_t seed, const Packed<G>& packed, const Lane<G>& my,
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

template <class S, int G>
__global__ void __launch_bounds__(serial_warps* warp_lanes, G == 8 ? 4 : 2)
    forward_kernel(Forward<S> p, const int64_t* seed_on_device, Packed<G> packed, CellState<float>* states) {
  const uint64_t seed = seed_on_device ? uint64_t(*seed_on_device) : p.options.seed;
  const Sizes& s = p.size;
  const int warp = warp_index();
  const int64_t warps = int64_t(gridDim.x) * serial_warps, me = int64_t(blockIdx.x) * serial_warps + warp;
  const Rows rows(shared_memory() + warp * Rows::floats(serial_steps) / 4, serial_steps);
  const int64_t chunks = serial_chunks(s);
  for (int64_t bundle = me; bundle < bundles<G>(s); bundle += warps) {
    const Lane<G> my(p, bundle);
    for (int64_t index = 0; index < chunks; ++index) {
      const Chunk chunk(index, serial_steps, s.T);
      for (int64_t layer = 0; layer < s.L; ++layer) {
        // Between its chunks a layer's state rests in the workspace.
        CellState<float>* kept = states + (me * s.L + layer) * warp_lanes + my.lane;
        CellState<float> state;
        if (index > 0)
          state = *kept;
        else
          state = {read_state(p.c_0, s, layer, my), read_state(p.h_0, s, layer, my)};
        layer_forward(p, seed, packed, my, layer, chunk, rows, state);
        if (index + 1 < chunks) {
          *kept = state;
        } else {
          write_state(p.h_n, s, layer, my, state.h);
          write_state(p.c_n, s, layer, my, state.c);
        }
      }
    }
  }
}

}  // namespace

template <class S, int G>
const char* SerialForward<S, G>::launch(const Forward<S>& p, const Context& context, void* workspace) {
  const Packed<G> packed = {static_cast<float4*>(workspace), p.size.L};
  if (const char* error = launch_pack(p, packed, context)) return error;
  auto* states = reinterpret_cast<CellState<float>*>(packed.base + Packed<G>::size(p.size));
  return launch_kernel(context, {serial_blocks<G>(p.size), serial_warps, serial_warps * Rows::floats(serial_steps)},
                       forward_kernel<S, G>, p, context.seed, packed, states);
}

#define RESBLOCK_INSTANTIATE(S)         \
  template struct SerialForward<S, 8>;  \
  template struct SerialForward<S, 16>; \
  template struct SerialForward<S, 32>;
RESBLOCK_INSTANTIATE(float)
RESBLOCK_INSTANTIATE(bfloat16)
RESBLOCK_INSTANTIATE(float16)

}  // namespace resblock::cuda
