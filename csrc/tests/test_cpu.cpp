// The CPU core against the scalar reference, over the grid. RESBLOCK_ISA says which instruction set; cpu_compare.h has
// the arguments.
#include "tests/cpu_compare.h"

TEST(instruction_set_is_not_above_the_wanted) {
  const std::string found = cpu::name(cpu::processor_isa());
  printf("instruction set: %s\n", found.c_str());
  const char* wanted = getenv("RESBLOCK_ISA");
  if (wanted && found != "portable") CHECK(found <= std::string(wanted));
}

TEST(results_agree_with_the_scalar_reference) {
  for (const Case& c : grid(is_quick(), is_quick() ? 1 : 2)) {
    compare_with_reference<float>(c);
    compare_with_reference<double>(c);
  }
}

TEST(long_sequences_agree_with_the_scalar_reference) {
  for (unsigned bits = 0; bits < 16; bits += is_few() ? 5 : 1) {
    compare_with_reference<float>({{300, 2, 5, 8, 5}, variant(bits), 1});
    compare_with_reference<double>({{70, 40, 5, 3, 4}, variant(bits), 1});
    compare_with_reference<float>({{600, 1, 3, std::vector<int64_t>{2, 7, 13, 20}[bits / 4], 17}, variant(bits), 1});
    compare_with_reference<float>({{bits + 1, 2, 5, 32, 4}, variant(bits), 1});
  }
}

TEST(wide_layers_agree_with_the_scalar_reference) {
  compare_with_reference<float>({{3, 20, 40, 264, 2}, variant(9), 1});  // weights packed layer by layer
  compare_with_reference<float>({{1, 7, 300, 257, 2}, variant(2), 1});  // weights and gradients in place
  if (is_few()) return;
  compare_with_reference<double>({{10, 60, 6, 260, 1}, variant(11), 1});  // weights beyond the second-level cache
  compare_with_reference<float>({{3, 5, 70, 130, 2}, variant(2), 1});
  compare_with_reference<double>({{3, 5, 70, 130, 2}, variant(13), 1});
  compare_with_reference<float>({{1, 3, 300, 257, 2}, variant(6), 1});
}

TEST(a_part_of_a_longer_problem_knows_where_it_begins) {
  for (const Wanted& schedule : schedules())
    for (unsigned bits = 8; schedule != cpu::Schedule::wavefront && bits < 16; ++bits)
      for (int64_t B : {1, 20}) {
        const CpuCall call = {schedule};
        check_parts(ProblemData<float>({31, B, 3, 6 + 13 * (bits & 1), 5}, variant(bits), bits), 12, call, call);
      }
}

TEST(a_schedule_that_does_not_take_the_problem_is_refused) {
  const CpuCall wavefront = {cpu::Schedule::wavefront};
  const auto refuses = [&](const Sizes& size, double dropout, bool training) {
    const Inputs<float> p = {size, {dropout, 1, true, false}, nullptr, {}, nullptr, nullptr, nullptr};
    try {
      training ? void(wavefront.training(p)) : void(wavefront.inference(p));
    } catch (const std::invalid_argument& error) {
      return std::string(error.what()).find("'wavefront'") != std::string::npos;
    }
    return false;
  };
  CHECK(!refuses({5, 1, 3, 4, 2}, 0, false));
  CHECK(refuses({5, 1, 3, 4, 2}, 0, true));
  CHECK(refuses({5, 1, 3, 4, 2}, 0.5, false));
  CHECK(refuses({5, 1, 3, 33, 2}, 0, false));
}

TEST(as_much_is_saved_as_sequences_run) {
  ProblemData<float> data({100, 40, 3, 8, 5}, variant(8));
  std::fill(data.lengths.begin(), data.lengths.end(), 7);
  data.lengths[17] = 90;
  const int64_t rows = 39 * 7 + 90, of_row = 5 * saved_of_cell * 8;
  CHECK(CpuCall{cpu::Schedule::layerwise}.saved_values(data.inputs()) == rows * of_row);
  // The lanes beside the long sequence stay busy to its end.
  const int64_t batched = CpuCall{cpu::Schedule::batched}.saved_values(data.inputs()) / of_row, lanes = 16;
  CHECK(batched >= rows && batched <= rows + 83 * (lanes - 1));
}

TEST(results_do_not_depend_on_the_number_of_threads) {
  for (const Case& c : grid(true, 1)) {
    if (is_few() && !is_small(c)) continue;
    compare_threads<float>(c);
    if (is_small(c)) compare_threads<double>(c);
  }
  if (is_few()) {
    compare_threads<float>({{5, 35, 18, 8, 4}, variant(15), 1});  // several tiles and blocks
    compare_threads<float>({{2, 9, 40, 264, 2}, variant(3), 1});  // products that threads share
    compare_threads<float>({{600, 2, 18, 8, 7}, variant(3), 1});  // segments of layers beside each other
    return;
  }
  compare_threads<float>({{20, 300, 18, 8, 4}, variant(15), 1});
  compare_threads<float>({{2, 4, 128, 160, 2}, variant(3), 1});
  compare_threads<float>({{9, 19, 40, 264, 3}, variant(11), 1});
  compare_threads<float>({{5, 9, 40, 300, 2}, variant(12), 1});
  compare_threads<float>({{40, 14, 40, 260, 2}, variant(8), 1});
  compare_threads<double>({{10, 70, 6, 260, 2}, variant(11), 1});  // three threads share the products of two blocks
  compare_threads<float>({{600, 2, 18, 8, 60}, variant(3), 1});
  // Without dropout: each of the wavefront's kernels, the segments of several chunks beside each other.
  for (const int64_t H : {3, 8, 16, 20})
    for (const unsigned bits : {3u, 10u}) compare_threads<float>({{600, 2, 18, H, 9}, variant(bits), 1});
}

TEST(states_may_be_left_out) {
  for (const Sizes& size : {Sizes{3, 17, 5, 8, 4}, Sizes{3, 2, 5, 6, 3}, Sizes{4, 16, 5, 8, 2}, Sizes{1, 3, 5, 33, 2}})
    for (unsigned bits : {2u, 13u})
      for (const Wanted& schedule : schedules()) {
        compare_without_states<float>({size, variant(bits), 1}, schedule);
        compare_without_states<double>({size, variant(bits), 1}, schedule);
      }
}

TEST(packed_rows_give_the_same) {
  for (const Sizes& size :
       {Sizes{7, 35, 5, 8, 4}, Sizes{9, 2, 5, 6, 3}, Sizes{4, 16, 18, 8, 2}, Sizes{30, 21, 5, 33, 2},
        Sizes{40, 9, 3, 17, 3}, Sizes{300, 3, 3, 4, 9}, Sizes{3, 9, 40, 264, 2}})
    for (unsigned bits : {8u, 10u, 15u})
      for (const Wanted& schedule : schedules()) {
        compare_packed<float>({size, variant(bits), 3}, schedule);
        compare_packed<double>({size, variant(bits), 4}, schedule);
      }
}

TEST(frozen_weights_change_no_other_gradient) {
  for (const Sizes& size :
       {Sizes{7, 35, 5, 8, 4}, Sizes{3, 2, 5, 6, 1}, Sizes{20, 40, 5, 33, 2}, Sizes{3, 9, 40, 264, 2}})
    for (unsigned bits : {2u, 13u})
      for (const Wanted& schedule : schedules())
        if (schedule != cpu::Schedule::wavefront)
          compare_with_frozen_weights<float>({size, variant(bits), 1}, schedule);
}

TEST(the_reference_has_the_gradients_of_its_loss) {
  for (unsigned bits = 0; bits < 16; ++bits) check_gradients_of_reference(variant(bits));
}

TEST_MAIN
