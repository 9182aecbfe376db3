// The dropout mask of the inputs of layers 2..L: a pure function of (seed, layer, time, sequence, unit), so that
// every device and any number of threads draw the same bits and the backward pass draws them again.
// Generator: Philox 4x32-10, Salmon et al., "Parallel random numbers: as easy as 1, 2, 3" (SC 2011).
#pragma once
#include "core/number.h"

namespace resblock {

struct PhiloxWords {
  uint32_t word[4];
};

RESBLOCK_INLINE PhiloxWords philox(uint64_t seed, uint32_t c0, uint32_t c1, uint32_t c2, uint32_t c3) {
  uint32_t k0 = uint32_t(seed), k1 = uint32_t(seed >> 32);
  for (int round = 0; round < 10; ++round) {
    const uint64_t a = uint64_t(0xD2511F53u) * c0, b = uint64_t(0xCD9E8D57u) * c2;
    const uint32_t n0 = uint32_t(b >> 32) ^ c1 ^ k0, n2 = uint32_t(a >> 32) ^ c3 ^ k1;
    c1 = uint32_t(b);
    c3 = uint32_t(a);
    c0 = n0;
    c2 = n2;
    k0 += 0x9E3779B9u;
    k1 += 0xBB67AE85u;
  }
  return {{c0, c1, c2, c3}};
}

struct Dropout {
  uint64_t seed;
  uint64_t threshold;  // a 32-bit word below it drops the value
  double scale;        // of what is not dropped, so that the mean stays: 1 / (1 - p)

  RESBLOCK_INLINE Dropout(uint64_t seed, double p)
      : seed(seed), threshold(uint64_t(p * 4294967296.)), scale(p < 1 ? 1 / (1 - p) : 0) {}

  // The factors of units 4 * quad .. 4 * quad + 3 of the input of `layer` (counted from 0).
  template <class A>
  RESBLOCK_INLINE void factors(int64_t layer, int64_t time, int64_t sequence, int64_t quad, A out[4]) const {
    const PhiloxWords w = philox(seed, uint32_t(quad), uint32_t(sequence), uint32_t(time), uint32_t(layer));
    for (int k = 0; k < 4; ++k) out[k] = w.word[k] < threshold ? A(0) : A(scale);
  }
};

}  // namespace resblock
