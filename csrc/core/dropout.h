// The dropout mask of the inputs of layers 2..L: a pure function of (seed, layer, time, sequence, unit), so that
// every device and any number of threads draw the same bits and the backward pass draws them again.
// Generator: Philox 4x32-10, Salmon et al., "Parallel random numbers: as easy as 1, 2, 3" (SC 2011).
#pragma once
#include "core/number.h"

namespace resblock {

struct PhiloxWords {
  uint32_t word[4];
};

template <class Word>
struct Product {
  Word high, low;
};

RESBLOCK_INLINE Product<uint32_t> whole_product(uint32_t x, uint32_t y) {
  const uint64_t product = uint64_t(x) * y;
  return {uint32_t(product >> 32), uint32_t(product)};
}

// The counter becomes random words, in place. Of a word, whole_product, ^ and ^ with a number must be there.
template <class Word>
RESBLOCK_INLINE void philox(uint64_t seed, Word (&counter)[4]) {
  uint32_t k0 = uint32_t(seed), k1 = uint32_t(seed >> 32);
  RESBLOCK_UNROLL
  for (int round = 0; round < 10; ++round) {
    const Product<Word> a = whole_product(counter[0], 0xD2511F53u), b = whole_product(counter[2], 0xCD9E8D57u);
    counter[0] = b.high ^ counter[1] ^ k0;
    counter[1] = b.low;
    counter[2] = a.high ^ counter[3] ^ k1;
    counter[3] = a.low;
    k0 += 0x9E3779B9u;
    k1 += 0xBB67AE85u;
  }
}

RESBLOCK_INLINE PhiloxWords philox(uint64_t seed, uint32_t c0, uint32_t c1, uint32_t c2, uint32_t c3) {
  PhiloxWords w = {{c0, c1, c2, c3}};
  philox(seed, w.word);
  return w;
}

struct Dropout {
  uint64_t seed;
  uint32_t threshold;  // a word below it drops the value
  double scale;        // of what is kept, so that the mean stays: 1 / (1 - p); where nothing is kept, 0

  RESBLOCK_INLINE Dropout(uint64_t seed, double p)
      : seed(seed), threshold(p < 1 ? uint32_t(p * 4294967296.) : 0), scale(p < 1 ? 1 / (1 - p) : 0) {}

  // The factors of units 4 * quad .. 4 * quad + 3 of the input of `layer` (counted from 0).
  template <class A>
  RESBLOCK_INLINE void factors(int64_t layer, int64_t time, int64_t sequence, int64_t quad, A out[4]) const {
    const PhiloxWords w = philox(seed, uint32_t(quad), uint32_t(sequence), uint32_t(time), uint32_t(layer));
    for (int k = 0; k < 4; ++k) out[k] = w.word[k] < threshold ? A(0) : A(scale);
  }
};

}  // namespace resblock
