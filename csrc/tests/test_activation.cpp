// sigmoid and tanh against long double, in units in the last place of the right answer.
#include <algorithm>
#include <cmath>
#include <limits>
#include <random>

#include "core/activation.h"
#include "tests/check.h"

namespace {

long double exact_sigmoid(long double x) { return 1 / (1 + expl(-x)); }
long double exact_tanh(long double x) { return tanhl(x); }
constexpr long double ln2l = 0.693147180559945309417232121458176568L;

// Below the smallest normal number zero is as good as the answer.
template <class A>
double error_in_ulps(A found, long double exact) {
  const long double smallest = std::numeric_limits<A>::min();
  if (fabsl(exact) < smallest && std::abs(found) <= smallest) return 0;
  const long double ulp = ldexpl(1, ilogbl(exact) + 1 - std::numeric_limits<A>::digits);
  return double(fabsl((long double)(found)-exact) / ulp);
}

template <class A, class Function, class Exact>
double worst_error(Function function, Exact exact) {
  double worst = 0;
  auto look = [&](A x) {
    for (A signed_x : {x, -x}) worst = std::max(worst, error_in_ulps(function(signed_x), exact(signed_x)));
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

template <class A>
void check_accuracy(double bound) {
  using resblock::Base;
  const auto check = [&](const char* name, double found) {
    printf("%s %.2f ulp\n", name, found);
    CHECK(found <= bound);
  };
  check("sigmoid", worst_error<A>([](A x) { return resblock::sigmoid(x); }, exact_sigmoid));
  check("tanh", worst_error<A>([](A x) { return resblock::tanh(x); }, exact_tanh));
  check("sigmoid in base two", worst_error<A>([](A x) { return resblock::sigmoid<Base::two>(x); },
                                              [](auto x) { return exact_sigmoid(x * ln2l); }));
  check("tanh in base two", worst_error<A>([](A x) { return resblock::tanh<Base::two>(x); },
                                           [](auto x) { return exact_tanh(x * ln2l / 2); }));
}

template <class A>
void check_limits() {
  const A infinity = std::numeric_limits<A>::infinity(), nan = std::numeric_limits<A>::quiet_NaN();
  CHECK(resblock::sigmoid(infinity) == 1);
  CHECK(resblock::sigmoid(-infinity) < std::numeric_limits<A>::min());
  CHECK(resblock::sigmoid(A(0)) == A(0.5));
  CHECK(resblock::tanh(infinity) == 1);
  CHECK(resblock::tanh(-infinity) == -1);
  CHECK(resblock::tanh(A(20)) == 1);
  CHECK(resblock::tanh(A(-20)) == -1);
  CHECK(resblock::tanh(A(0)) == 0);
  CHECK(std::isnan(resblock::sigmoid(nan)));
  CHECK(std::isnan(resblock::tanh(nan)));
}

}  // namespace

TEST(float_is_accurate) { check_accuracy<float>(4); }
TEST(double_is_accurate) { check_accuracy<double>(4); }
TEST(float_limits) { check_limits<float>(); }
TEST(double_limits) { check_limits<double>(); }

TEST_MAIN
