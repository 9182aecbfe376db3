// The CPU core where sequences begin anew, and where c of every step is wanted; arguments as those of test_cpu.cpp.
#include "tests/cpu_compare.h"

// A few, some, or nearly everywhere.
const double some_resets[] = {0.02, 0.2, 0.9};

// The grid; for sanitizers every third case.
std::vector<Case> cases() {
  const std::vector<Case> all = grid(is_quick(), 1);
  std::vector<Case> some;
  for (size_t k = 0; k < all.size(); k += is_few() ? 3 : 1) some.push_back(all[k]);
  return some;
}

TEST(resets_agree_with_the_scalar_reference) {
  unsigned count = 0;
  for (Case c : cases()) {
    c.variant.resets = some_resets[++count % 3];
    compare_with_reference<float>(c);
    if (is_small(c)) compare_with_reference<double>(c);
  }
  for (const double resets : some_resets)
    for (unsigned bits = 0; bits < 16; bits += is_few() ? 15 : 3) {
      const auto agree = [&](const Sizes& size) {
        Variant of = variant(bits);
        of.resets = resets;
        compare_with_reference<float>({size, of, bits});
      };
      agree({300, 1, 5, 8, 5});
      agree({50, 9, 5, 6, 4});
      agree({40, 20, 5, 17, 2});
      if (bits % 6 == 0) agree({30, 5, 40, 264, 2});
    }
}

TEST(cells_agree_with_the_scalar_reference) {
  unsigned count = 0;
  for (Case c : cases()) {
    c.variant.cells = true;
    if (++count % 2) c.variant.resets = some_resets[count % 3];
    compare_with_reference<float>(c);
    if (is_small(c)) compare_with_reference<double>(c);
  }
  for (unsigned bits = 0; bits < 16; bits += is_few() ? 15 : 3)
    for (const double resets : {0., 0.1}) {
      Variant of = variant(bits);
      of.cells = true;
      of.resets = resets;
      compare_with_reference<float>({{300, 2, 5, 8, 5}, of, bits});
      compare_with_reference<float>({{40, 20, 5, 17, 4}, of, bits});
      compare_with_reference<float>({{100, 1, 3, 20, 9}, of, bits});
      compare_with_reference<float>({{20, 5, 40, 264, 2}, of, bits});
    }
}

TEST(cells_do_not_depend_on_threads_states_left_out_or_packing) {
  for (const Sizes& size :
       {Sizes{7, 35, 5, 8, 4}, Sizes{30, 21, 5, 33, 2}, Sizes{600, 2, 3, 8, 9}, Sizes{9, 9, 40, 264, 2}})
    for (unsigned bits : {8u, 10u, 15u}) {
      if (is_few() && (size.T > 100 || bits == 8)) continue;
      Variant of = variant(bits);
      of.cells = true;
      of.resets = bits == 10 ? 0.1 : 0;
      compare_threads<float>({size, of, 3});
      for (const Wanted& schedule : schedules()) {
        compare_packed<float>({size, of, 3}, schedule);
        compare_without_states<float>({size, of, 3}, schedule);
      }
    }
}

TEST(resets_do_not_depend_on_threads_states_left_out_or_packing) {
  unsigned count = 0;
  for (const Sizes& size : {Sizes{7, 35, 5, 8, 4}, Sizes{90, 2, 5, 6, 3}, Sizes{200, 16, 18, 8, 2},
                            Sizes{30, 21, 5, 33, 2}, Sizes{300, 3, 3, 4, 9}, Sizes{9, 9, 40, 264, 2}})
    for (const double resets : some_resets)
      for (unsigned bits : {8u, 10u, 15u}) {
        if (is_few() && (size.T > 100 || ++count % 3)) continue;
        Variant of = variant(bits);
        of.resets = resets;
        compare_threads<float>({size, of, 3});
        for (const Wanted& schedule : schedules()) {
          compare_packed<float>({size, of, 3}, schedule);
          compare_without_states<float>({size, of, 3}, schedule);
        }
      }
}

TEST(parts_of_a_longer_problem_have_their_own_pieces) {
  for (const Wanted schedule : {Wanted(), Wanted(cpu::Schedule::layerwise)})
    for (const double resets : some_resets)
      for (unsigned bits = 8; bits < 16; bits += is_few() ? 7 : 1) {
        Variant of = variant(bits);
        of.resets = resets;
        const CpuCall call = {schedule};
        check_parts(ProblemData<float>({31, 20, 3, 6 + 13 * (bits & 1), 5}, of, bits), 12, call, call);
      }
}

TEST(idle_lanes_beside_pieces_save_a_bounded_part) {
  ProblemData<float> data({100, 1, 3, 8, 5}, variant(0));
  const auto saved = [&](const Wanted& schedule) { return CpuCall{schedule}.saved_values(data.inputs()); };
  const int64_t all = saved(std::nullopt);
  data.resets.assign(100, 0);
  CHECK(saved(cpu::Schedule::batched) == all);
  data.resets[50] = 1;
  CHECK(saved(cpu::Schedule::batched) == all);
  data.resets[55] = 1;
  CHECK(saved(cpu::Schedule::batched) > all && saved(cpu::Schedule::batched) <= 2 * all);
  std::fill(data.resets.begin() + 50, data.resets.end(), uint8_t(1));
  CHECK(!trains(data, cpu::Schedule::batched));
  CHECK(saved(std::nullopt) == all);
}

TEST(the_reference_has_the_gradients_of_its_loss) {
  for (unsigned bits = 0; bits < 16; ++bits) {
    Variant of = variant(bits);
    of.cells = true;
    of.resets = 0.3;
    check_gradients_of_reference(of);
  }
}

TEST_MAIN
