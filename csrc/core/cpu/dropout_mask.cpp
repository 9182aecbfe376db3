#include "core/cpu/dropout_mask.h"

#include <algorithm>

#include "core/dropout.h"

namespace resblock::cpu {

void dropout_mask(const Sizes& s, const Options& options, double* mask) {
  const Dropout dropout(options.seed, options.dropout);
  for (int64_t layer = 1; layer < s.L; ++layer)
    for (int64_t t = 0; t < s.T; ++t)
      for (int64_t b = 0; b < s.B; ++b, mask += s.H)
        for (int64_t u = 0; u < s.H; u += 4) {
          double factor[4];
          dropout.factors(layer, t, b, u / 4, factor);
          std::copy_n(factor, std::min<int64_t>(4, s.H - u), mask + u);
        }
}

}  // namespace resblock::cpu
