// The odd sizes that every kernel is tested on, and how its results are compared.
#pragma once
#include <algorithm>
#include <cmath>
#include <cstring>
#include <limits>
#include <string>

#include "tests/check.h"
#include "tests/problem_data.h"

struct Case {
  resblock::Sizes size;
  Variant variant;
  unsigned seed;
};

// All sizes against each other. Every one of them meets the 16 variants in turn, `at_each` of them at a time.
inline std::vector<Case> grid(bool quick, unsigned at_each) {
  std::vector<Case> cases;
  unsigned count = 0;
  for (int64_t L : {1, 2, 3, 4, 7, 60})
    for (int64_t H : {1, 6, 8, 16, 33})
      for (int64_t T : {0, 1, 5})
        for (int64_t B : {0, 1, 17}) {
          ++count;
          if (quick && (L == 7 || H == 16 || (L == 60 && (H != 8 || B == 17)))) continue;
          // Not 1: the sum that makes a single number may cancel, and nothing else gives the error a measure.
          const int64_t I = std::vector<int64_t>{18, 5, 3}[count % 3];
          for (unsigned k = 0; k < at_each; ++k)
            cases.push_back({{T, B, I, H, L}, variant(count * 7 + k * 16 / at_each + k), count});
        }
  return cases;
}

// Enough of a case for a storage type that shares its arithmetic with another one.
inline bool is_small(const Case& c) { return c.size.L <= 4 && c.size.H <= 16; }

template <class S>
struct StorageName;
template <>
struct StorageName<float> {
  static constexpr const char* text = "float32 ";
};
template <>
struct StorageName<double> {
  static constexpr const char* text = "float64 ";
};
template <>
struct StorageName<resblock::bfloat16> {
  static constexpr const char* text = "bfloat16 ";
};
template <>
struct StorageName<resblock::float16> {
  static constexpr const char* text = "float16 ";
};

inline double rounding(float) { return std::ldexp(1., -24); }
inline double rounding(double) { return std::ldexp(1., -53); }
inline double rounding(resblock::bfloat16) { return std::ldexp(1., -8); }
inline double rounding(resblock::float16) { return std::ldexp(1., -11); }

// The largest difference of two arrays beside the largest number in the second; NaN anywhere gives infinity.
template <class V, class W>
double relative_error(const std::vector<V>& found, const std::vector<W>& expected) {
  double largest = std::numeric_limits<double>::min(), difference = 0;
  for (size_t k = 0; k < expected.size(); ++k) {
    const double x = double(resblock::load(found[k])), y = double(resblock::load(expected[k]));
    if (!(std::abs(x - y) < HUGE_VAL)) return HUGE_VAL;
    difference = std::max(difference, std::abs(x - y));
    largest = std::max(largest, std::abs(y));
  }
  return difference / largest;
}

// What inference leaves unwritten is not compared where so wanted.
enum class Arrays { all, of_inference };

// `roundings` to the storage type, of the stored result or on the way there, and what errors of the arithmetic have
// grown to by the end.
template <class S, class R>
void check_close(const Results<S>& found, const R& expected, double growth, const std::string& about,
                 double roundings = 1, Arrays arrays = Arrays::all) {
  found.visit_with(expected, [&](const char* name, const auto& a, const auto& b) {
    using V = typename std::decay_t<decltype(a)>::value_type;
    if (!strcmp(name, "saved")) return;  // each schedule has its own layout
    if (arrays == Arrays::of_inference && !strncmp(name, "grad_", 5)) return;
    const double error = relative_error(a, b);
    const double bound = roundings * rounding(V{}) + growth * rounding(resblock::Arithmetic<V>{});
    CHECK_ABOUT(error <= bound,
                StorageName<S>::text + about + name + ": " + std::to_string(error / bound) + " times the bound");
  });
}

template <class S>
void check_same_bits(const Results<S>& found, const Results<S>& expected, const std::string& about) {
  found.visit_with(expected, [&](const char* name, const auto& a, const auto& b) {
    CHECK_ABOUT(a.empty() || !memcmp(a.data(), b.data(), a.size() * sizeof(a[0])), StorageName<S>::text + about + name);
  });
}
