// A problem with random contents, and room for everything a kernel writes.
#pragma once
#include <string.h>

#include <random>
#include <string>
#include <vector>

#include "core/problem.h"

struct Variant {
  bool previous, residual, dropout, lengths;
  double resets = 0;   // the probability of one at each step of each sequence
  bool cells = false;  // c of every step is wanted
};

// Which of the 16 variants: its bits.
inline Variant variant(unsigned bits) { return {bool(bits & 1), bool(bits & 2), bool(bits & 4), bool(bits & 8)}; }

inline std::string describe(const resblock::Sizes& s, const Variant& v) {
  auto number = [](const char* name, int64_t value) { return name + std::to_string(value) + " "; };
  return number("T", s.T) + number("B", s.B) + number("I", s.I) + number("H", s.H) + number("L", s.L) +
         (v.previous ? "previous " : "current ") + (v.residual ? "residual " : "") + (v.dropout ? "dropout " : "") +
         (v.lengths ? "lengths " : "") + (v.resets > 0 ? "resets " + std::to_string(v.resets) + " " : "") +
         (v.cells ? "cells " : "");
}

// Every array a kernel writes. They start as NaN, so that what is not written shows.
template <class S>
struct Results {
  using A = resblock::Arithmetic<S>;
  std::vector<S> output, h_n, c_n, cells;  // cells: empty where they are not wanted
  std::vector<A> saved;
  std::vector<S> grad_input, grad_ih_first, grad_ih, grad_hh, grad_peephole, grad_bias, grad_h_0, grad_c_0;

  explicit Results(const resblock::Sizes& s) {
    const int64_t states = s.L * s.B * s.H;
    poison(output, s.T * s.B * s.H);
    poison(h_n, states);
    poison(c_n, states);
    poison(saved, s.L * resblock::saved_per_layer(s));
    poison(grad_input, s.T * s.B * s.I);
    poison(grad_ih_first, 4 * s.H * s.I);
    poison(grad_ih, (s.L - 1) * 4 * s.H * s.H);
    poison(grad_hh, s.L * 4 * s.H * s.H);
    poison(grad_peephole, s.L * 3 * s.H);
    poison(grad_bias, s.L * 4 * s.H);
    poison(grad_h_0, states);
    poison(grad_c_0, states);
  }

  void want_cells(const resblock::Sizes& s) { poison(cells, s.L * s.T * s.B * s.H); }

  // visit(name, array of this, array of other)
  template <class R, class Visit>
  void visit_with(const R& other, Visit visit) const {
    visit("output", output, other.output);
    visit("h_n", h_n, other.h_n);
    visit("c_n", c_n, other.c_n);
    visit("cells", cells, other.cells);
    visit("saved", saved, other.saved);
    visit("grad_input", grad_input, other.grad_input);
    visit("grad_ih_first", grad_ih_first, other.grad_ih_first);
    visit("grad_ih", grad_ih, other.grad_ih);
    visit("grad_hh", grad_hh, other.grad_hh);
    visit("grad_peephole", grad_peephole, other.grad_peephole);
    visit("grad_bias", grad_bias, other.grad_bias);
    visit("grad_h_0", grad_h_0, other.grad_h_0);
    visit("grad_c_0", grad_c_0, other.grad_c_0);
  }

 private:
  template <class V>
  static void poison(std::vector<V>& array, int64_t count) {
    array.resize(size_t(count));
    if (count) memset(static_cast<void*>(array.data()), 0xff, array.size() * sizeof(V));
  }
};

template <class S>
struct ProblemData {
  resblock::Sizes size;
  resblock::Options options;
  std::vector<S> input, ih_first, ih, hh, peephole, bias, h_0, c_0;
  std::vector<int64_t> lengths;  // empty: none
  std::vector<uint8_t> resets;   // (T, B), or empty: none
  std::vector<S> grad_output, grad_h_n, grad_c_n;
  std::vector<S> grad_cells;  // (L, T, B, H), or empty: none

  // The padding of the input and of the output's gradient is NaN: no result may depend on it.
  ProblemData(const resblock::Sizes& s, const Variant& v, unsigned seed = 1) : size(s) {
    std::mt19937 random(seed);
    options = {v.dropout ? 0.4 : 0., 0x123456789abcdef0u + seed, v.residual, v.previous};
    const double width = 1 / std::sqrt(double(s.H));
    fill(random, input, s.T * s.B * s.I, 1);
    fill(random, ih_first, 4 * s.H * s.I, 1 / std::sqrt(double(s.I)));
    fill(random, ih, (s.L - 1) * 4 * s.H * s.H, width);
    fill(random, hh, s.L * 4 * s.H * s.H, width);
    fill(random, peephole, s.L * 3 * s.H, 0.5);
    fill(random, bias, s.L * 4 * s.H, 0.5);
    fill(random, h_0, s.L * s.B * s.H, 0.5);
    fill(random, c_0, s.L * s.B * s.H, 0.5);
    fill(random, grad_output, s.T * s.B * s.H, 1);
    fill(random, grad_h_n, s.L * s.B * s.H, 1);
    fill(random, grad_c_n, s.L * s.B * s.H, 1);
    std::bernoulli_distribution is_reset(v.resets);
    for (int64_t row = 0; v.resets > 0 && row < s.T * s.B; ++row) resets.push_back(is_reset(random));
    if (v.cells) fill(random, grad_cells, s.L * s.T * s.B * s.H, 1);
    if (!v.lengths || s.T == 0) return;
    for (int64_t b = 0; b < s.B; ++b) {
      lengths.push_back(int64_t(random() % unsigned(s.T + 1)));
      for (int64_t t = lengths.back(); t < s.T; ++t) {
        make_nan(input.data() + (t * s.B + b) * s.I, s.I);
        make_nan(grad_output.data() + (t * s.B + b) * s.H, s.H);
        for (int64_t l = 0; v.cells && l < s.L; ++l) make_nan(grad_cells.data() + ((l * s.T + t) * s.B + b) * s.H, s.H);
      }
    }
  }

  // The same numbers in a wider type.
  template <class Narrow>
  explicit ProblemData(const ProblemData<Narrow>& from)
      : size(from.size),
        options(from.options),
        input(widened(from.input)),
        ih_first(widened(from.ih_first)),
        ih(widened(from.ih)),
        hh(widened(from.hh)),
        peephole(widened(from.peephole)),
        bias(widened(from.bias)),
        h_0(widened(from.h_0)),
        c_0(widened(from.c_0)),
        lengths(from.lengths),
        resets(from.resets),
        grad_output(widened(from.grad_output)),
        grad_h_n(widened(from.grad_h_n)),
        grad_c_n(widened(from.grad_c_n)),
        grad_cells(widened(from.grad_cells)) {}

  int64_t steps(int64_t b) const { return lengths.empty() ? size.T : lengths[size_t(b)]; }
  bool is_reset(int64_t t, int64_t b) const { return !resets.empty() && resets[size_t(t * size.B + b)]; }

  resblock::Inputs<S> inputs() const {
    resblock::Inputs<S> p = {size,
                             options,
                             input.data(),
                             {ih_first.data(), ih.data(), hh.data(), peephole.data(), bias.data()},
                             h_0.data(),
                             c_0.data(),
                             lengths.empty() ? nullptr : lengths.data()};
    p.resets = resets.empty() ? nullptr : reinterpret_cast<const bool*>(resets.data());
    return p;
  }

  resblock::Forward<S> forward(Results<S>& to, bool save = true) const {
    if (!grad_cells.empty()) to.want_cells(size);
    return {inputs(),
            to.output.data(),
            to.h_n.data(),
            to.c_n.data(),
            save ? to.saved.data() : nullptr,
            to.cells.empty() ? nullptr : to.cells.data()};
  }

  resblock::Backward<S> backward(Results<S>& to) const {
    return {
        inputs(),
        grad_output.data(),
        grad_h_n.data(),
        grad_c_n.data(),
        to.saved.data(),
        to.grad_input.data(),
        {to.grad_ih_first.data(), to.grad_ih.data(), to.grad_hh.data(), to.grad_peephole.data(), to.grad_bias.data()},
        to.grad_h_0.data(),
        to.grad_c_0.data(),
        grad_cells.empty() ? nullptr : grad_cells.data()};
  }

 private:
  static void fill(std::mt19937& random, std::vector<S>& array, int64_t count, double limit) {
    std::uniform_real_distribution<double> value(-limit, limit);
    array.resize(size_t(count));
    for (S& x : array) resblock::store(&x, resblock::Arithmetic<S>(value(random)));
  }

  template <class Narrow>
  static std::vector<S> widened(const std::vector<Narrow>& from) {
    std::vector<S> to(from.size());
    for (size_t k = 0; k < from.size(); ++k) to[k] = resblock::load(from[k]);
    return to;
  }

  static void make_nan(S* row, int64_t count) {
    if (count) memset(static_cast<void*>(row), 0xff, size_t(count) * sizeof(S));
  }
};
