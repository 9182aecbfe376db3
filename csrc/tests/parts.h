// Two parts of one problem, the second with the states that the first leaves, against the whole: lengths and dropout
// count from the whole's start, and sequences may end before a part begins.
#pragma once
#include "tests/grid.h"

// run_forward(Forward<S>) and run_backward(Backward<S>) are the kernels'. Results may differ by `tolerance`,
// relatively: what goes from part to part is rounded to the storage type.
template <class S, class RunForward, class RunBackward>
void check_parts(const ProblemData<S>& data, int64_t cut, const RunForward& run_forward,
                 const RunBackward& run_backward, double tolerance = 1e-5) {
  const resblock::Sizes& s = data.size;
  resblock::Sizes first = s, second = s;
  first.T = cut;
  second.T = s.T - cut;
  Results<S> whole(s), early(first), late(second);
  for (Results<S>* of : {&whole, &early, &late}) of->saved.resize(2 * of->saved.size());  // pieces may save so much
  run_forward(data.forward(whole));
  run_backward(data.backward(whole));

  resblock::Forward<S> p = data.forward(early);
  p.size = first;
  run_forward(p);
  resblock::Forward<S> q = data.forward(late);
  q.size = second;
  q.options.first_step = cut;
  q.input += cut * s.B * s.I;
  if (q.resets) q.resets += cut * s.B;
  q.h_0 = early.h_n.data();
  q.c_0 = early.c_n.data();
  run_forward(q);

  resblock::Backward<S> back = data.backward(late), front = data.backward(early);
  static_cast<resblock::Inputs<S>&>(back) = q;
  static_cast<resblock::Inputs<S>&>(front) = p;
  back.grad_output += cut * s.B * s.H;
  front.grad_h_n = late.grad_h_0.data();
  front.grad_c_n = late.grad_c_0.data();
  run_backward(back);
  run_backward(front);

  auto check = [&](const char* name, const std::vector<S>& found, const std::vector<S>& expected) {
    const double error = relative_error(found, expected);
    CHECK_ABOUT(error < tolerance, describe(s, {}) + "in parts, " + name + " differs by " + std::to_string(error));
  };
  auto check_joined = [&](const char* name, std::vector<S> found, const std::vector<S>& rest,
                          const std::vector<S>& expected) {
    found.insert(found.end(), rest.begin(), rest.end());
    check(name, found, expected);
  };
  auto check_summed = [&](const char* name, std::vector<S> found, const std::vector<S>& rest,
                          const std::vector<S>& expected) {
    for (size_t k = 0; k < found.size(); ++k)
      resblock::store(&found[k], resblock::load(found[k]) + resblock::load(rest[k]));
    check(name, found, expected);
  };
  check_joined("output", early.output, late.output, whole.output);
  check("h_n", late.h_n, whole.h_n);
  check("c_n", late.c_n, whole.c_n);
  check_joined("grad_input", early.grad_input, late.grad_input, whole.grad_input);
  check("grad_h_0", early.grad_h_0, whole.grad_h_0);
  check("grad_c_0", early.grad_c_0, whole.grad_c_0);
  check_summed("grad_ih_first", early.grad_ih_first, late.grad_ih_first, whole.grad_ih_first);
  check_summed("grad_ih", early.grad_ih, late.grad_ih, whole.grad_ih);
  check_summed("grad_hh", early.grad_hh, late.grad_hh, whole.grad_hh);
  check_summed("grad_peephole", early.grad_peephole, late.grad_peephole, whole.grad_peephole);
  check_summed("grad_bias", early.grad_bias, late.grad_bias, whole.grad_bias);
}
