// The generator against its published answers, and the mask's statistics.
#include <cmath>
#include <set>
#include <vector>

#include "core/cpu/dropout_mask.h"
#include "core/dropout.h"
#include "tests/check.h"

namespace {

using namespace resblock;

bool is(const PhiloxWords& found, uint32_t a, uint32_t b, uint32_t c, uint32_t d) {
  return found.word[0] == a && found.word[1] == b && found.word[2] == c && found.word[3] == d;
}

std::vector<double> mask(const Sizes& s, double p, uint64_t seed) {
  std::vector<double> factors(size_t((s.L - 1) * s.T * s.B * s.H));
  cpu::dropout_mask(s, {p, seed, true, false}, factors.data());
  return factors;
}

// Five standard deviations of a count of n draws with probability p.
bool is_plausible(double count, double n, double p) { return std::abs(count - n * p) < 5 * std::sqrt(n * p * (1 - p)); }

}  // namespace

// Random123, kat_vectors, philox 4x32 with 10 rounds.
TEST(philox_gives_the_known_answers) {
  CHECK(is(philox(0, 0, 0, 0, 0), 0x6627e8d5, 0xe169c58d, 0xbc57ac4c, 0x9b00dbd8));
  const uint32_t ones = ~0u;
  CHECK(is(philox(~uint64_t(0), ones, ones, ones, ones), 0x408f276d, 0x41c83b0e, 0xa20bc7c6, 0x6d5451fd));
  CHECK(is(philox(0x299f31d0a4093822u, 0x243f6a88, 0x85a308d3, 0x13198a2e, 0x03707344), 0xd16cfe09, 0x94fdcceb,
           0x5001e420, 0x24126ea1));
}

TEST(every_coordinate_and_the_seed_change_the_factors) {
  std::set<std::vector<double>> seen;
  auto draw = [&](uint64_t seed, int64_t layer, int64_t t, int64_t b) {
    std::vector<double> factors(64);
    for (int64_t quad = 0; quad < 16; ++quad) Dropout(seed, 0.5).factors(layer, t, b, quad, &factors[size_t(4 * quad)]);
    seen.insert(factors);
  };
  draw(1, 1, 1, 1);
  draw(2, 1, 1, 1);
  draw(uint64_t(1) << 40 | 1, 1, 1, 1);
  draw(1, 2, 1, 1);
  draw(1, 1, 2, 1);
  draw(1, 1, 1, 2);
  CHECK(seen.size() == 6);
}

TEST(the_mask_drops_as_often_as_it_should_and_leaves_the_mean) {
  for (double p : {0.1, 0.4, 0.6, 0.95}) {
    const std::vector<double> factors = mask({50, 40, 1, 33, 4}, p, 7);
    double dropped = 0;
    for (double factor : factors) {
      CHECK(factor == 0 || factor == 1 / (1 - p));
      dropped += factor == 0;
    }
    CHECK(is_plausible(dropped, double(factors.size()), p));
  }
}

TEST(masks_of_neighbours_are_independent) {
  const Sizes s = {50, 40, 1, 32, 5};
  const std::vector<double> factors = mask(s, 0.5, 3);
  for (int64_t distance : {int64_t(1), s.H, s.B * s.H, s.T * s.B * s.H}) {
    double alike = 0, count = 0;
    for (size_t k = size_t(distance); k < factors.size(); ++k, ++count)
      alike += factors[k] == factors[k - size_t(distance)];
    CHECK(is_plausible(alike, count, 0.5));
  }
}

TEST(nothing_and_everything_can_be_dropped) {
  for (double factor : mask({5, 4, 1, 7, 3}, 0, 1)) CHECK(factor == 1);
  for (double factor : mask({5, 4, 1, 7, 3}, 1, 1)) CHECK(factor == 0);
}

TEST(the_mask_is_laid_out_by_layer_time_sequence_and_unit) {
  const Sizes s = {3, 2, 1, 6, 4};
  const std::vector<double> factors = mask(s, 0.5, 9);
  size_t k = 0;
  for (int64_t layer = 1; layer < s.L; ++layer)
    for (int64_t t = 0; t < s.T; ++t)
      for (int64_t b = 0; b < s.B; ++b)
        for (int64_t u = 0; u < s.H; ++u, ++k) {
          double quad[4];
          Dropout(9, 0.5).factors(layer, t, b, u / 4, quad);
          CHECK(factors[k] == quad[u % 4]);
        }
}

TEST_MAIN
