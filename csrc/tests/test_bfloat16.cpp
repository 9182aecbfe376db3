// Products of bfloat16 numbers against plain loops, and wide layers with them against the scalar reference.
// RESBLOCK_ISA says which instructions; without those nothing is tested.
#include <cmath>
#include <random>

#include "core/cpu/bfloat16.h"
#include "tests/check.h"
#include "tests/cpu_call.h"
#include "tests/grid.h"
#include "tests/scalar_reference.h"
#include "tests/threads.h"

namespace {

using namespace resblock;

cpu::Products products() {
  const cpu::Isa isa = cpu::processor_isa();
  return isa >= cpu::Isa::x86_64_v4_bf16_amx ? cpu::Products::amx_bf16
         : isa >= cpu::Isa::x86_64_v4_bf16   ? cpu::Products::avx512_bf16
                                             : cpu::Products::full;
}

bool has_products() { return products() != cpu::Products::full; }

bfloat16 rounded(float x) {
  bfloat16 to;
  store(&to, x);
  return to;
}

// Rows of random numbers with NaN behind each, which no product may read.
struct Matrix {
  int64_t rows, columns, row;
  std::vector<float> values;
  std::vector<bfloat16> stored;

  Matrix(int64_t rows, int64_t columns, int64_t gap, std::mt19937& random)
      : rows(rows), columns(columns), row(columns + gap) {
    std::uniform_real_distribution<float> any(-1, 1);
    for (int64_t k = 0; k < rows * row; ++k) {
      values.push_back(k % row < columns ? any(random) : NAN);
      stored.push_back(rounded(values.back()));
    }
  }
  double at(int64_t m, int64_t n) const { return load(stored[size_t(m * row + n)]); }
};

const bfloat16 unwritten = {0x7fff};

struct Sides {
  std::vector<bfloat16> left, right;

  Sides(int64_t M, int64_t N, int64_t K)
      : left(size_t(M * cpu::left_row(K)), unwritten), right(size_t(cpu::packed_bfloat16(K, N)), unwritten) {}
};

// What stands beyond N must stay.
void check_product(const Sides& sides, const Matrix& a, bool a_transposed, const Matrix& b, bool b_transposed,
                   std::mt19937& random) {
  const int64_t M = a_transposed ? a.columns : a.rows, K = a_transposed ? a.rows : a.columns;
  const int64_t N = b_transposed ? b.rows : b.columns;
  const Matrix init(M, N, 5, random);
  for (const bool back : {false, true})
    for (const int64_t init_row : {init.row, int64_t(0), int64_t(-1)}) {  // -1: none
      std::vector<float> to = init.values;
      cpu::multiply_bfloat16(products())({M, N, K, sides.left.data(), sides.right.data(),
                                          init_row < 0 ? nullptr : init.values.data(), std::max<int64_t>(init_row, 0),
                                          to.data(), init.row, back});
      double worst = 0;
      for (int64_t m = 0; m < M; ++m)
        for (int64_t n = 0; n < init.row; ++n) {
          const float found = to[size_t(m * init.row + n)];
          if (n >= N) {
            CHECK(std::isnan(found));
            continue;
          }
          double sum = init_row < 0 ? 0 : double(init.values[size_t(m * init_row + n)]);
          for (int64_t k = 0; k < K; ++k)
            sum += (a_transposed ? a.at(k, m) : a.at(m, k)) * (b_transposed ? b.at(n, k) : b.at(k, n));
          worst = std::isnan(found) ? HUGE_VAL : std::max(worst, std::abs(found - sum));
        }
      CHECK_ABOUT(worst < 1e-6 * (4 + double(K)),
                  std::to_string(M) + " " + std::to_string(N) + " " + std::to_string(K) + ": " + std::to_string(worst));
    }
}

// The matrices of `data` in bfloat16, in place of those in float.
template <class Problem>
Problem with_matrices(Problem problem, const ProblemData<bfloat16>& data) {
  problem.weights.ih_first = problem.weights.ih = problem.weights.hh = nullptr;
  problem.bfloat16_weights = {data.ih_first.data(), data.ih.data(), data.hh.data(), nullptr, nullptr};
  return problem;
}

Results<float> run(const ProblemData<bfloat16>& stored, const CpuCall& call) {
  const ProblemData<float> data(stored);
  Results<float> found(data.size);
  const Forward<float> forward = with_matrices(data.forward(found), stored);
  found.saved.resize(size_t(call.saved_values(static_cast<const Inputs<float>&>(forward))));
  call(with_matrices(data.forward(found), stored));
  call(with_matrices(data.backward(found), stored));
  return found;
}

void compare_layers(const Sizes& size, unsigned bits) {
  if (!has_products()) return;
  const ProblemData<bfloat16> data(size, variant(bits), bits + 1);
  const std::string what = describe(size, variant(bits));
  const CpuCall call;
  const Results<float> found = run(data, call);
  // Numbers in units of the last place of bfloat16: rounded are what meets weights, dz, and what meets dz.
  const double roundings = 1.5 * rounding(bfloat16()) / rounding(float());
  check_close(found, ScalarReference<bfloat16>(data).forward_and_backward(), 0, what, roundings);
  for (const int count : {2, 3}) {
    Threads threads{count};
    check_same_bits(run(data, {std::nullopt, {&threads, count, Threads::run}}), found, what);
  }
  Results<float> inference(size);
  call(with_matrices(ProblemData<float>(data).forward(inference, false), data));
  CHECK(inference.output.empty() || !memcmp(inference.output.data(), found.output.data(), 4 * found.output.size()));
}

}  // namespace

TEST(products_are_those_of_plain_loops) {
  printf("instruction set: %s\n", cpu::name(cpu::processor_isa()));
  if (!has_products()) return;
  std::mt19937 random(1);
  for (const int64_t M : {1, 2, 7, 16, 17, 32, 33, 50, 64, 65})
    for (const int64_t N : {1, 16, 20, 64, 133})
      for (const int64_t K : {1, 31, 32, 65}) {
        Sides sides(M, N, K);
        const Matrix a(M, K, 0, random), weights(N, K, 0, random);
        cpu::round_to_bfloat16(M, K, a.values.data(), sides.left.data());
        cpu::pack_bfloat16_transposed(K, N, weights.stored.data(), sides.right.data());
        check_product(sides, a, false, weights, true, random);
        const Matrix columns(K, M, 3, random), b(K, N, 3, random);
        cpu::round_transposed_to_bfloat16(M, K, columns.values.data(), columns.row, sides.left.data());
        cpu::pack_bfloat16(K, N, b.values.data(), b.row, sides.right.data());
        check_product(sides, columns, true, b, false, random);
        cpu::pack_bfloat16(K, N, b.stored.data(), b.row, sides.right.data());
        check_product(sides, columns, true, b, false, random);
      }
}

TEST(an_element_is_summed_alike_in_every_tile) {
  if (!has_products()) return;
  std::mt19937 random(2);
  const int64_t M = 50, N = 150, K = 77;
  const Matrix a(M, K, 0, random), b(K, N, 0, random);
  Sides all(M, N, K);
  std::vector<float> expected(size_t(M * N)), found(size_t(M * N));
  cpu::round_to_bfloat16(M, K, a.values.data(), all.left.data());
  cpu::pack_bfloat16(K, N, b.values.data(), N, all.right.data());
  const auto multiply = cpu::multiply_bfloat16(products());
  multiply({M, N, K, all.left.data(), all.right.data(), nullptr, 0, expected.data(), N, false});
  for (const int64_t rows : {1, 5, 16, 20})
    for (const int64_t columns : {16, 48, 64}) {
      for (int64_t m = 0; m < M; m += rows)
        for (int64_t n = 0; n < N; n += columns)
          multiply({std::min(rows, M - m), std::min(columns, N - n), K, all.left.data() + m * cpu::left_row(K),
                    all.right.data() + n * cpu::padded_depth(K), nullptr, 0, found.data() + m * N + n, N, false});
      CHECK(found == expected);
    }
}

TEST(wide_layers_agree_with_the_scalar_reference) {
  compare_layers({3, 9, 40, 128, 2}, 11);
  compare_layers({6, 3, 5, 257, 1}, 2);   // odd units, packed layer by layer
  compare_layers({2, 35, 7, 129, 4}, 9);  // several blocks
  compare_layers({4, 5, 18, 130, 2}, 14);
}

TEST_MAIN
