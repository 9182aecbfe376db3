// Weights, and their gradients, as the kernels for narrow layers hold them: padded to G units, in float, and the four
// gates of a unit side by side, so that a lane reads what its unit needs in 16 bytes and its warp without gaps.
#pragma once
#include <cuda_runtime.h>

#include "core/cuda/layer_inputs.h"

namespace resblock::cuda {

// G lanes for the units of a sequence: 8, 16 or 32. The first layer has more inputs than units, or fewer: it takes them
// in tiles of G columns. It comes last in memory, because of all layers only its W has a size of its own.
template <int G>
struct Packed {
  static constexpr int64_t matrix = G * G, before_W = matrix + 2 * G, layer_size = before_W + matrix;

  float4* base;
  int64_t L;

  RESBLOCK_INLINE static int64_t tiles(const Sizes& s, int64_t layer) { return layer ? 1 : (s.I + G - 1) / G; }
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

// Where one number of the packed weights comes from; null if it is padding.
template <int G, class S>
RESBLOCK_INLINE S* unpacked(const Weights<S>& w, const Sizes& s, int64_t index, int gate) {
  const int64_t H = s.H, later = (s.L - 1) * Packed<G>::layer_size;
  const int64_t layer = index < later ? 1 + index / Packed<G>::layer_size : 0;
  const int64_t e = index < later ? index % Packed<G>::layer_size : index - later;
  const int64_t unit = e % G, row = (layer * 4 + gate) * H + unit;
  if (unit >= H) return nullptr;
  if (e < Packed<G>::matrix) return e / G < H ? w.hh + row * H + e / G : nullptr;
  if (e < Packed<G>::matrix + G) return w.bias + row;
  if (e < Packed<G>::before_W)
    return gate == 2 ? nullptr : w.peephole + (layer * 3 + (gate == 3 ? 2 : gate)) * H + unit;
  const int64_t column = (e - Packed<G>::before_W) / G, inputs = layer ? H : s.I;
  return column < inputs ? input_weights(w, s, layer) + (gate * H + unit) * inputs + column : nullptr;
}

}  // namespace resblock::cuda
