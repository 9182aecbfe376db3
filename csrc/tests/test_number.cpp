// The 16-bit storage types against their definition: sign, exponent and fraction, read one by one.
#include <cmath>
#include <random>

#include "core/number.h"
#include "tests/check.h"

namespace {

using namespace resblock;

template <class S>
struct Format;
template <>
struct Format<float16> {
  static constexpr int fraction_bits = 10, bias = 15;
};
template <>
struct Format<bfloat16> {
  static constexpr int fraction_bits = 7, bias = 127;
};

template <class S>
struct Fields {
  static constexpr int fraction_bits = Format<S>::fraction_bits, largest_exponent = 2 * Format<S>::bias + 1;
  bool negative;
  int exponent, fraction;

  explicit Fields(unsigned bits)
      : negative(bits >> 15),
        exponent(int(bits >> fraction_bits) & largest_exponent),
        fraction(int(bits & ((1u << fraction_bits) - 1))) {}

  bool is_nan() const { return exponent == largest_exponent && fraction; }

  double value() const {
    const double sign = negative ? -1 : 1;
    if (exponent == largest_exponent) return fraction ? NAN : sign * HUGE_VAL;
    const int implied = exponent ? 1 << fraction_bits : 0, power = exponent ? exponent : 1;
    return sign * std::ldexp(implied + fraction, power - Format<S>::bias - fraction_bits);
  }
};

template <class S>
unsigned stored(float x) {
  S to;
  store(&to, x);
  return to.bits;
}

template <class S>
constexpr unsigned infinity_bits = unsigned(Fields<S>::largest_exponent) << Fields<S>::fraction_bits;

// Nearest to the magnitude, ties to the even pattern: patterns of one sign are ordered as their values. The one
// above the largest number stands at twice its power.
template <class S>
unsigned nearest(double magnitude) {
  unsigned low = 0, high = infinity_bits<S>;
  auto value = [](unsigned bits) {
    return bits < infinity_bits<S> ? Fields<S>(bits).value() : std::ldexp(1., Format<S>::bias + 1);
  };
  if (magnitude >= value(high)) return high;
  while (high - low > 1) {
    const unsigned middle = (low + high) / 2;
    (value(middle) <= magnitude ? low : high) = middle;
  }
  const double below = magnitude - value(low), above = value(high) - magnitude;
  return below < above || (below == above && low % 2 == 0) ? low : high;
}

template <class S>
void load_reads_all_patterns() {
  for (unsigned bits = 0; bits < 65536; ++bits) {
    const Fields<S> fields(bits);
    const float found = load(S{uint16_t(bits)});
    CHECK(fields.is_nan() ? std::isnan(found) : double(found) == fields.value());
    CHECK(fields.is_nan() || std::signbit(found) == fields.negative);
    if (fields.is_nan())
      CHECK(Fields<S>(stored<S>(found)).is_nan());
    else
      CHECK(stored<S>(found) == bits);
  }
}

template <class S>
void check_stored(float x) {
  const unsigned sign = std::signbit(x) ? 0x8000u : 0;
  CHECK_ABOUT(stored<S>(x) == (sign | nearest<S>(std::abs(double(x)))), std::to_string(x));
}

template <class S>
void store_rounds_to_nearest_even() {
  for (unsigned bits = 0; bits < infinity_bits<S>; ++bits) {
    const double value = Fields<S>(bits).value();
    const double next = bits + 1 < infinity_bits<S> ? Fields<S>(bits + 1).value() : std::ldexp(1., Format<S>::bias + 1);
    const float middle = float((value + next) / 2);
    for (float x : {middle, std::nextafter(middle, 0.f), std::nextafter(middle, HUGE_VALF)}) {
      check_stored<S>(x);
      check_stored<S>(-x);
    }
  }
  std::mt19937 random(1);
  for (int k = 0; k < 200000; ++k) {
    const float x = bit_cast<float>(uint32_t(random()));
    if (!std::isnan(x)) check_stored<S>(x);
  }
}

template <class S>
void store_keeps_what_is_not_finite() {
  CHECK(stored<S>(HUGE_VALF) == infinity_bits<S>);
  CHECK(stored<S>(-HUGE_VALF) == (infinity_bits<S> | 0x8000u));
  CHECK(stored<S>(0.f) == 0);
  CHECK(stored<S>(-0.f) == 0x8000u);
  for (uint32_t payload : {1u, 0x1fffu, 0x400000u, 0x7fffffu})
    for (uint32_t sign : {0u, 0x80000000u})
      CHECK(Fields<S>(stored<S>(bit_cast<float>(sign | 0x7f800000u | payload))).is_nan());
}

}  // namespace

TEST(float16_load_reads_all_patterns) { load_reads_all_patterns<float16>(); }
TEST(bfloat16_load_reads_all_patterns) { load_reads_all_patterns<bfloat16>(); }
TEST(float16_store_rounds_to_nearest_even) { store_rounds_to_nearest_even<float16>(); }
TEST(bfloat16_store_rounds_to_nearest_even) { store_rounds_to_nearest_even<bfloat16>(); }
TEST(float16_store_keeps_what_is_not_finite) { store_keeps_what_is_not_finite<float16>(); }
TEST(bfloat16_store_keeps_what_is_not_finite) { store_keeps_what_is_not_finite<bfloat16>(); }

TEST_MAIN
