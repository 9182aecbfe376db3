// Weights, and their gradients, as the kernels for narrow layers hold them: padded to G units, in float, and the four
// gates of a unit side by side, so that a lane reads what its unit needs in 16 bytes and its warp without gaps.
#pragma once
#include <cuda_runtime.h>

#include <type_traits>

#include "core/cuda/any_float.h"
#include "core/cuda/cells.h"
#include "core/cuda/memory.h"
#include "core/cuda/plan.h"

namespace resblock::cuda {

// G lanes for the units of a sequence: 8, 16 or 32. The first layer has more inputs than units, or fewer: it takes them
// in tiles of G columns, of which there is one even without inputs, for the bias comes with the first. It lies last in
// memory, because only its W has a size of its own.
template <int G>
struct Packed {
  static constexpr int64_t matrix = G * G, before_W = matrix + 2 * G, layer_size = before_W + matrix;

  float4* base;
  int64_t L;

  // The first of `count`, one after the other.
  RESBLOCK_INLINE Packed(Memory& memory, const Sizes& s, int64_t count = 1)
      : base(memory.take<float4>(count * size(s))), L(s.L) {}

  RESBLOCK_INLINE static int64_t tiles(const Sizes& s, int64_t layer) {
    return layer || s.I == 0 ? 1 : (s.I + G - 1) / G;
  }
  RESBLOCK_INLINE static int64_t size(const Sizes& s) {
    return (s.L - 1) * layer_size + before_W + tiles(s, 0) * matrix;
  }

  RESBLOCK_INLINE float4* layer(int64_t l) const { return base + (l ? l - 1 : L - 1) * layer_size; }
  // All matrices are (columns, G): element [column * G + unit].
  RESBLOCK_INLINE float4* U(int64_t l) const { return layer(l); }
  RESBLOCK_INLINE float4* bias(int64_t l) const { return layer(l) + matrix; }
  RESBLOCK_INLINE float4* peephole(int64_t l) const { return layer(l) + matrix + G; }  // that of g is 0
  RESBLOCK_INLINE float4* W(int64_t l, int64_t tile) const { return layer(l) + before_W + tile * matrix; }
};

// use(G) with the number of lanes as a constant.
template <class Use>
auto with_lanes(int lanes, const Use& use) {
  if (lanes == 8) return use(std::integral_constant<int, 8>());
  if (lanes == 16) return use(std::integral_constant<int, 16>());
  return use(std::integral_constant<int, 32>());
}

// The bundles of sequences that the warps of narrow layers have side by side in their lanes.
template <int G>
RESBLOCK_INLINE int64_t bundles(const Sizes& s) {
  return (s.B * G + warp_lanes - 1) / warp_lanes;
}

// The gradients of a unit's h[t-1] and c[t-1], going back in time.
struct Carry {
  float dh, dc;
};

// Where one number of the packed weights is in the caller's: an array, null for padding, and an index.
template <class S>
struct Place {
  S* array = nullptr;
  int64_t index = 0;
};

template <int G, class S>
RESBLOCK_INLINE Place<S> unpacked(const Weights<S>& w, const Sizes& s, int64_t index, int gate) {
  const int64_t H = s.H, later = (s.L - 1) * Packed<G>::layer_size;
  const int64_t layer = index < later ? 1 + index / Packed<G>::layer_size : 0;
  const int64_t e = index < later ? index % Packed<G>::layer_size : index - later;
  const int64_t unit = e % G, row = (layer * gates_of_cell + gate) * H + unit;
  if (unit >= H) return {};
  if (e < Packed<G>::matrix) return e / G < H ? Place<S>{w.hh, row * H + e / G} : Place<S>{};
  if (e < Packed<G>::matrix + G) return {w.bias, row};
  if (e < Packed<G>::before_W)
    return gate == gate_g ? Place<S>{}
                          : Place<S>{w.peephole, (layer * peepholes_of_cell + peephole_of_gate(gate)) * H + unit};
  const int64_t column = (e - Packed<G>::before_W) / G, inputs = layer ? H : s.I;
  if (column >= inputs) return {};
  return layer ? Place<S>{w.ih, ((layer - 1) * gates_of_cell * H + gate * H + unit) * H + column}
               : Place<S>{w.ih_first, (gate * H + unit) * s.I + column};
}

}  // namespace resblock::cuda
