// What this processor can do at most, on one core: bench/limits.py compiles and runs it. Prints JSON:
//
//     fma_gflops        float32 multiply-adds (two operations each) from registers
//     cell_forward_ns   what the equations of one unit at one step (core/cell.h) add to its multiply-adds, with
//                       operands in the first-level cache and nothing that waits for anything
//     cell_backward_ns  the same of their derivative
#include <string.h>
#include <time.h>

#include <algorithm>
#include <cstdio>
#include <vector>
#if defined(__x86_64__)
#include <immintrin.h>
#endif

#include "core/cell.h"

namespace resblock {
namespace {

#include "core/cpu/lanes.h"

#if defined(__AVX512F__)
constexpr int lanes = 16;
#elif defined(__AVX__)
constexpr int lanes = 8;
#else
constexpr int lanes = 4;
#endif
using V = Lanes<float, lanes>;

double thread_seconds() {
  timespec now;
  clock_gettime(CLOCK_THREAD_CPUTIME_ID, &now);
  return double(now.tv_sec) + 1e-9 * double(now.tv_nsec);
}

// The least of many short runs: what the processor does when nothing disturbs it.
template <class Body>
double least_seconds(Body body) {
  double least = 1;
  for (int run = 0; run < 200; ++run) {
    const double start = thread_seconds();
    body();
    least = std::min(least, thread_seconds() - start);
  }
  return least;
}

volatile float any, result;  // keep the compiler from leaving work out

// Multiply-adds from registers; twelve sums hide their latency on every processor so far.
struct MultiplyAdds {
  static constexpr int sums = 12;
  V::Vec sum[sums];

  MultiplyAdds() {
    for (V::Vec& start : sum) start = V(any).v;
  }
  RESBLOCK_INLINE void run(int rounds) {
    for (int round = 0; round < rounds; ++round) {
      RESBLOCK_UNROLL
      for (int k = 0; k < sums; ++k) sum[k] = sum[k] * V(0.999f).v + V(1e-3f).v;
      asm volatile("" : "+r"(round));
    }
  }
  RESBLOCK_INLINE float used() const {
    V total(0);
    RESBLOCK_UNROLL
    for (int k = 0; k < sums; ++k) total += V::of(sum[k]);
    return total.v[0];
  }
};

double fma_gflops() {
  const int rounds = 40000;
  const double seconds = least_seconds([] {
    MultiplyAdds work;
    work.run(rounds);
    result = work.used();
  });
  return 2e-9 * lanes * MultiplyAdds::sums * rounds / seconds;
}

constexpr int vectors = 64, arrays = 8, repeats = 200;  // 32 KB at most: the first-level cache

struct Rows {
  std::vector<float> values = std::vector<float>(arrays * vectors * lanes, 0.3f);
  float* at(int array, int vector) { return values.data() + (array * vectors + vector) * lanes; }
  V load(int array, int vector) { return V::load(at(array, vector)); }
  Two<V> load_two(int array, int vector) { return {load(array, vector), load(array, vector + 1)}; }
  void store_two(Two<V> x, int array, int vector) { x.a.store(at(array, vector)), x.b.store(at(array, vector + 1)); }
};

// Nanoseconds by which Body, the equations of two vectors of units, prolongs the multiply-adds of H = 8 before them,
// for one of the vectors. They fill the gaps that the chain of the equations leaves, as they do in a kernel.
template <class Body>
double added_nanoseconds(Body body) {
  Rows rows;
  auto seconds = [&](auto&& after) {
    return least_seconds([&] {
      MultiplyAdds work;
      for (int repeat = 0; repeat < repeats; ++repeat)
        for (int k = 0; k < vectors; k += 2) {
          work.run(10);  // 120 of the 128 multiply-adds of two units' four gates
          after(k);
        }
      result = work.used();
    });
  };
  const double added = seconds([&](int k) { body(rows, k); }) - seconds([](int) {});
  return added / (double(repeats) * vectors * lanes) * 1e9;
}

double cell_forward_ns() {
  return added_nanoseconds([](Rows& r, int k) {
    using T = Two<V>;
    Gates<T> z = {r.load_two(0, k), r.load_two(1, k), r.load_two(2, k), r.load_two(3, k)};
    const Peephole<T> p = {T(0.1f), T(0.2f), T(0.3f)};
    const T c_before = r.load_two(4, k), c = cell_state<Base::two>(z, p, c_before);
    r.store_two(c, 5, k);
    r.store_two(cell_output<Base::two>(z, p, c, c), 6, k);
  });
}

double cell_backward_ns() {
  return added_nanoseconds([](Rows& r, int k) {
    for (int vector = k; vector < k + 2; ++vector) {
      const Gates<V> gate = {r.load(0, vector), r.load(1, vector), r.load(2, vector), r.load(3, vector)};
      const Peephole<V> p = {V(0.1f), V(0.2f), V(0.3f)};
      V dc = r.load(4, vector);
      const Gates<V> dz = cell_backward<false>(gate, p, r.load(5, vector), r.load(6, vector), V(0.5f), dc);
      (dz.i + dz.f + dz.g + dz.o + dc).store(r.at(7, vector));
    }
  });
}

}  // namespace
}  // namespace resblock

int main() {
  using namespace resblock;
  printf("{\"fma_gflops\": %.2f, \"cell_forward_ns\": %.4f, \"cell_backward_ns\": %.4f}\n", fma_gflops(),
         cell_forward_ns(), cell_backward_ns());
}
