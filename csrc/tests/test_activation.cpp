// sigmoid and tanh against long double, in units in the last place of the right answer; of numbers, and of the vectors
// of the instruction set that this is compiled for.
#include <string.h>

#include <algorithm>
#include <cmath>
#include <limits>
#include <random>
#if defined(__x86_64__)
#include <immintrin.h>
#endif

#include "core/activation.h"
#include "tests/check.h"

namespace resblock {
namespace {
#include "core/cpu/lanes.h"
}
}  // namespace resblock

namespace {

template <class A>
struct Numbers {
  using Scalar = A;
  static constexpr bool rounds_to_base_two = false;
  static A last(A x) { return x; }
};
template <class A, int W>
struct Numbers<resblock::Lanes<A, W>> {
  using Scalar = A;
  static constexpr bool rounds_to_base_two = sizeof(A) == 4 && W >= 8;  // what looks powers up in a table
  static A last(resblock::Lanes<A, W> x) { return x.v[W - 1]; }
};
template <class V>
struct Numbers<resblock::Two<V>> {
  using Scalar = typename V::Scalar;
  static constexpr bool rounds_to_base_two = Numbers<V>::rounds_to_base_two;
  static Scalar last(resblock::Two<V> x) { return Numbers<V>::last(x.b); }
};

long double exact_sigmoid(long double x) { return 1 / (1 + expl(-x)); }
long double exact_tanh(long double x) { return tanhl(x); }
constexpr long double ln2l = 0.693147180559945309417232121458176568L;

// Below about the smallest normal number that is as good as the answer, and zero is.
template <class A>
double error_in_ulps(A found, long double exact) {
  const long double smallest = 1.05L * std::numeric_limits<A>::min();
  if (fabsl(exact) < smallest && std::abs(found) <= smallest) return 0;
  const long double ulp = ldexpl(1, ilogbl(exact) + 1 - std::numeric_limits<A>::digits);
  return double(fabsl((long double)(found)-exact) / ulp);
}

// Less what a rounding of x, magnified by the exponential, may add: `of_x` units at x = 1.
template <class A, class Function, class Exact>
double worst_error(Function function, Exact exact, double of_x) {
  double worst = 0;
  auto look = [&](A x) {
    for (A signed_x : {x, -x})
      worst = std::max(worst, error_in_ulps(function(signed_x), exact(signed_x)) - of_x * double(x));
  };
  std::mt19937_64 random(1);
  std::uniform_real_distribution<A> near(0, 3), wide(0, 100), power(-60, 0);
  for (int k = 0; k < 200000; ++k) {
    look(near(random));
    look(wide(random));
    look(std::exp2(power(random)));
  }
  for (A x : {A(0), A(700), A(708), A(709), A(800), A(1e10), std::numeric_limits<A>::min(),
              std::numeric_limits<A>::denorm_min(), std::numeric_limits<A>::max()})
    look(x);
  return worst;
}

template <class V>
void check_accuracy(double bound) {
  using A = typename Numbers<V>::Scalar;
  using resblock::Base;
  const auto check = [&](const char* name, auto function, auto exact, double of_x = 0) {
    const double found = worst_error<A>([&](A x) { return Numbers<V>::last(function(V(x))); }, exact, of_x);
    CHECK_ABOUT(found <= bound, std::string(name) + ": " + std::to_string(found) + " ulp");
  };
  const double to_base_two = Numbers<V>::rounds_to_base_two ? 1.5 : 0;
  check("sigmoid", [](V x) { return resblock::sigmoid(x); }, exact_sigmoid, to_base_two);
  check("tanh", [](V x) { return resblock::tanh(x); }, exact_tanh, to_base_two);
  check(
      "sigmoid in base two", [](V x) { return resblock::sigmoid<Base::two>(x); },
      [](auto x) { return exact_sigmoid(x * ln2l); });
  check(
      "tanh in base two", [](V x) { return resblock::tanh<Base::two>(x); },
      [](auto x) { return exact_tanh(x * ln2l / 2); });
}

template <class V>
void check_limits() {
  using A = typename Numbers<V>::Scalar;
  const auto sigmoid = [](A x) { return Numbers<V>::last(resblock::sigmoid(V(x))); };
  const auto tanh = [](A x) { return Numbers<V>::last(resblock::tanh(V(x))); };
  const A infinity = std::numeric_limits<A>::infinity(), nan = std::numeric_limits<A>::quiet_NaN();
  CHECK(sigmoid(infinity) == 1);
  CHECK(sigmoid(-infinity) == 0);
  CHECK(sigmoid(A(-1000)) == 0);
  CHECK(sigmoid(A(0)) == A(0.5));
  CHECK(tanh(infinity) == 1);
  CHECK(tanh(-infinity) == -1);
  CHECK(tanh(A(20)) == 1);
  CHECK(tanh(A(-20)) == -1);
  CHECK(tanh(A(0)) == 0);
  CHECK(std::isnan(sigmoid(nan)));
  CHECK(std::isnan(sigmoid(-nan)));
  CHECK(std::isnan(tanh(nan)));
  CHECK(std::isnan(tanh(-nan)));
}

template <class V>
void check_all() {
  check_accuracy<V>(4);
  check_limits<V>();
}

}  // namespace

using resblock::Lanes;
using resblock::Two;
TEST(float_numbers) { check_all<float>(); }
TEST(double_numbers) { check_all<double>(); }
TEST(vectors_of_4_floats) { check_all<Lanes<float, 4>>(); }
TEST(vectors_of_2_doubles) { check_all<Lanes<double, 2>>(); }
#if defined(__AVX2__)
TEST(vectors_of_8_floats) { check_all<Lanes<float, 8>>(); }
TEST(two_vectors_of_8_floats) { check_all<Two<Lanes<float, 8>>>(); }
#endif
#if defined(__AVX512F__)
TEST(vectors_of_16_floats) { check_all<Lanes<float, 16>>(); }
TEST(two_vectors_of_16_floats) { check_all<Two<Lanes<float, 16>>>(); }
TEST(two_vectors_of_8_doubles) { check_all<Two<Lanes<double, 8>>>(); }
#endif

TEST_MAIN
