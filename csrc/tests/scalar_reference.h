// The network of problem.h once more: one number at a time, in double, with the library's exp and tanh. Slow and
// plain, and apart from the dropout mask without a line of the core's.
#pragma once
#include <cmath>
#include <vector>

#include "core/dropout.h"
#include "tests/problem_data.h"

template <class S>
class ScalarReference {
 public:
  explicit ScalarReference(const ProblemData<S>& data) : d(data), s(data.size), r(data.size) {}

  Results<double> forward_and_backward() {
    forward();
    backward();
    return r;
  }

  Results<double> forward() {
    for (std::vector<double>* array : {&r.output, &r.h_n, &r.c_n, &r.saved}) array->assign(array->size(), 0);
    h.assign(size_t(s.L * (s.T + 1) * s.B * s.H), 0);
    for (int64_t b = 0; b < s.B; ++b) {
      for (int64_t l = 0; l < s.L; ++l)
        for (int64_t u = 0; u < s.H; ++u) h_at(l, -1, b, u) = number(d.h_0, state(l, b, u));
      for (int64_t t = 0; t < s.T; ++t)
        for (int64_t l = 0; l < s.L; ++l)
          for (int64_t u = 0; u < s.H; ++u)
            if (t < d.steps(b))
              cell(l, t, b, u);
            else
              c_at(l, t, b, u) = c_after(l, t - 1, b, u);
      for (int64_t l = 0; l < s.L; ++l)
        for (int64_t u = 0; u < s.H; ++u) {
          r.h_n[state(l, b, u)] = h_at(l, d.steps(b) - 1, b, u);
          r.c_n[state(l, b, u)] = c_after(l, d.steps(b) - 1, b, u);
        }
    }
    for (int64_t t = 0; t < s.T; ++t)
      for (int64_t b = 0; b < s.B; ++b)
        for (int64_t u = 0; u < s.H; ++u) r.output[row(t, b, s.H) + size_t(u)] = y_at(s.L - 1, t, b, u);
    if (!d.grad_cells.empty()) cells();
    return r;
  }

  // What the gradients are gradients of: the sum of all results, each times its incoming gradient.
  double loss() {
    forward();
    double sum = 0;
    for (int64_t b = 0; b < s.B; ++b)
      for (int64_t t = 0; t < d.steps(b); ++t)
        for (int64_t u = 0; u < s.H; ++u) {
          const size_t k = row(t, b, s.H) + size_t(u);
          sum += r.output[k] * number(d.grad_output, k);
        }
    for (size_t k = 0; k < r.cells.size(); ++k)
      if (!std::isnan(number(d.grad_cells, k))) sum += r.cells[k] * number(d.grad_cells, k);
    for (size_t k = 0; k < r.h_n.size(); ++k)
      sum += r.h_n[k] * number(d.grad_h_n, k) + r.c_n[k] * number(d.grad_c_n, k);
    return sum;
  }

 private:
  enum Gate { i, f, g, o };

  static double number(const std::vector<S>& array, size_t k) { return double(resblock::load(array[k])); }
  static double sigmoid(double x) { return 1 / (1 + std::exp(-x)); }

  size_t row(int64_t t, int64_t b, int64_t width) const { return size_t((t * s.B + b) * width); }
  size_t state(int64_t l, int64_t b, int64_t u) const { return size_t((l * s.B + b) * s.H + u); }

  double& h_at(int64_t l, int64_t t, int64_t b, int64_t u) {
    return h[size_t(((l * (s.T + 1) + t + 1) * s.B + b) * s.H + u)];
  }
  double& gate_at(Gate gate, int64_t l, int64_t t, int64_t b, int64_t u) {
    return resblock::saved_layer(r.saved.data(), s, l).gates[row(t, b, 4 * s.H) + size_t(gate * s.H + u)];
  }
  double& c_at(int64_t l, int64_t t, int64_t b, int64_t u) {
    return resblock::saved_layer(r.saved.data(), s, l).c[row(t, b, s.H) + size_t(u)];
  }
  double& y_at(int64_t l, int64_t t, int64_t b, int64_t u) {
    return resblock::saved_layer(r.saved.data(), s, l).y[row(t, b, s.H) + size_t(u)];
  }
  double c_after(int64_t l, int64_t t, int64_t b, int64_t u) {
    return t >= 0 ? c_at(l, t, b, u) : number(d.c_0, state(l, b, u));
  }
  double c_before(int64_t l, int64_t t, int64_t b, int64_t u) { return d.is_reset(t, b) ? 0 : c_after(l, t - 1, b, u); }
  double h_before(int64_t l, int64_t t, int64_t b, int64_t u) { return d.is_reset(t, b) ? 0 : h_at(l, t - 1, b, u); }

  int64_t inputs(int64_t l) const { return l > 0 ? s.H : s.I; }
  double W(int64_t l, Gate gate, int64_t u, int64_t k) const {
    return l > 0 ? number(d.ih, size_t((((l - 1) * 4 + gate) * s.H + u) * s.H + k))
                 : number(d.ih_first, size_t((gate * s.H + u) * s.I + k));
  }
  size_t U_index(int64_t l, Gate gate, int64_t u, int64_t k) const {
    return size_t(((l * 4 + gate) * s.H + u) * s.H + k);
  }
  double p(int64_t l, int which, int64_t u) const { return number(d.peephole, size_t((l * 3 + which) * s.H + u)); }

  double mask(int64_t l, int64_t t, int64_t b, int64_t u) const {
    double factor[4];
    resblock::Dropout(d.options.seed, d.options.dropout).factors(l, t, b, u / 4, factor);
    return factor[u % 4];
  }
  double x(int64_t l, int64_t t, int64_t b, int64_t k) {
    return l > 0 ? y_at(l - 1, t, b, k) * mask(l, t, b, k) : number(d.input, row(t, b, s.I) + size_t(k));
  }
  // Layers counted from 1 and as the paper says it: y^l = h^l + y^(l-2) for l = 4, 6, 8, ...
  bool adds(int64_t l) const { return d.options.residual && l + 1 >= 4 && (l + 1) % 2 == 0; }

  double z(int64_t l, Gate gate, int64_t t, int64_t b, int64_t u) {
    double sum = number(d.bias, size_t((l * 4 + gate) * s.H + u));
    for (int64_t k = 0; k < inputs(l); ++k) sum += W(l, gate, u, k) * x(l, t, b, k);
    for (int64_t k = 0; k < s.H; ++k) sum += number(d.hh, U_index(l, gate, u, k)) * h_before(l, t, b, k);
    return sum;
  }

  void cell(int64_t l, int64_t t, int64_t b, int64_t u) {
    const double before = c_before(l, t, b, u);
    const double gate_i = gate_at(i, l, t, b, u) = sigmoid(z(l, i, t, b, u) + p(l, 0, u) * before);
    const double gate_f = gate_at(f, l, t, b, u) = sigmoid(z(l, f, t, b, u) + p(l, 1, u) * before);
    const double gate_g = gate_at(g, l, t, b, u) = std::tanh(z(l, g, t, b, u));
    const double c = c_at(l, t, b, u) = gate_f * before + gate_i * gate_g;
    const double seen = d.options.output_peephole_previous ? before : c;
    const double gate_o = gate_at(o, l, t, b, u) = sigmoid(z(l, o, t, b, u) + p(l, 2, u) * seen);
    h_at(l, t, b, u) = gate_o * std::tanh(c);
    y_at(l, t, b, u) = h_at(l, t, b, u) + (adds(l) ? y_at(l - 2, t, b, u) : 0);
  }

  void cells() {
    r.cells.assign(size_t(s.L * s.T * s.B * s.H), 0);
    for (int64_t l = 0; l < s.L; ++l)
      for (int64_t b = 0; b < s.B; ++b)
        for (int64_t t = 0; t < d.steps(b); ++t)
          for (int64_t u = 0; u < s.H; ++u) r.cells[cell_index(l, t, b, u)] = c_at(l, t, b, u);
  }
  size_t cell_index(int64_t l, int64_t t, int64_t b, int64_t u) const {
    return size_t(((l * s.T + t) * s.B + b) * s.H + u);
  }

  void backward() {
    for (auto* array : {&r.grad_input, &r.grad_ih_first, &r.grad_ih, &r.grad_hh, &r.grad_peephole, &r.grad_bias,
                        &r.grad_h_0, &r.grad_c_0})
      array->assign(array->size(), 0);
    for (int64_t b = 0; b < s.B; ++b) {
      std::vector<double> dh(size_t(s.L * s.H)), dc(dh);
      for (int64_t l = 0; l < s.L; ++l)
        for (int64_t u = 0; u < s.H; ++u) {
          dh[size_t(l * s.H + u)] = number(d.grad_h_n, state(l, b, u));
          dc[size_t(l * s.H + u)] = number(d.grad_c_n, state(l, b, u));
        }
      for (int64_t t = d.steps(b) - 1; t >= 0; --t) step_backward(t, b, dh, dc);
      for (int64_t l = 0; l < s.L; ++l)
        for (int64_t u = 0; u < s.H; ++u) {
          r.grad_h_0[state(l, b, u)] = dh[size_t(l * s.H + u)];
          r.grad_c_0[state(l, b, u)] = dc[size_t(l * s.H + u)];
        }
    }
  }

  void step_backward(int64_t t, int64_t b, std::vector<double>& dh, std::vector<double>& dc) {
    std::vector<double> dy(size_t(s.L * s.H), 0.);
    for (int64_t u = 0; u < s.H; ++u)
      dy[size_t((s.L - 1) * s.H + u)] = number(d.grad_output, row(t, b, s.H) + size_t(u));
    for (int64_t l = s.L - 1; l >= 0; --l) {
      std::vector<double> dz(size_t(4 * s.H));
      for (int64_t u = 0; u < s.H; ++u) {
        const size_t k = size_t(l * s.H + u);
        if (adds(l)) dy[size_t((l - 2) * s.H + u)] += dy[k];
        if (!d.grad_cells.empty()) dc[k] += number(d.grad_cells, cell_index(l, t, b, u));
        cell_backward(l, t, b, u, dy[k] + dh[k], dc[k], dz);
        dh[k] = 0;
      }
      for (int gate = i; gate <= o; ++gate)
        for (int64_t u = 0; u < s.H; ++u) row_backward(l, Gate(gate), t, b, u, dz[size_t(gate * s.H + u)], dy, dh);
    }
    if (!d.is_reset(t, b)) return;
    dh.assign(dh.size(), 0);
    dc.assign(dc.size(), 0);
  }

  void cell_backward(int64_t l, int64_t t, int64_t b, int64_t u, double dh, double& dc, std::vector<double>& dz) {
    const double before = c_before(l, t, b, u), c = c_at(l, t, b, u), tanh_c = std::tanh(c);
    const double gi = gate_at(i, l, t, b, u), gf = gate_at(f, l, t, b, u), gg = gate_at(g, l, t, b, u),
                 go = gate_at(o, l, t, b, u);
    const bool previous = d.options.output_peephole_previous;
    const double dzo = dh * tanh_c * go * (1 - go);
    dc += dh * go * (1 - tanh_c * tanh_c);
    if (!previous) dc += dzo * p(l, 2, u);
    const double dzi = dc * gg * gi * (1 - gi), dzf = dc * before * gf * (1 - gf), dzg = dc * gi * (1 - gg * gg);
    double* dp = &r.grad_peephole[size_t(l * 3 * s.H + u)];
    dp[0] += dzi * before;
    dp[s.H] += dzf * before;
    dp[2 * s.H] += dzo * (previous ? before : c);
    dc = dc * gf + dzi * p(l, 0, u) + dzf * p(l, 1, u);
    if (previous) dc += dzo * p(l, 2, u);
    const double all[] = {dzi, dzf, dzg, dzo};
    for (int gate = i; gate <= o; ++gate) dz[size_t(gate * s.H + u)] = all[gate];
  }

  void row_backward(int64_t l, Gate gate, int64_t t, int64_t b, int64_t u, double dz, std::vector<double>& dy,
                    std::vector<double>& dh) {
    r.grad_bias[size_t((l * 4 + gate) * s.H + u)] += dz;
    for (int64_t k = 0; k < s.H; ++k) {
      r.grad_hh[U_index(l, gate, u, k)] += dz * h_before(l, t, b, k);
      dh[size_t(l * s.H + k)] += dz * number(d.hh, U_index(l, gate, u, k));
    }
    for (int64_t k = 0; k < inputs(l); ++k) {
      if (l > 0) {
        r.grad_ih[U_index(l - 1, gate, u, k)] += dz * x(l, t, b, k);
        dy[size_t((l - 1) * s.H + k)] += dz * W(l, gate, u, k) * mask(l, t, b, k);
      } else {
        r.grad_ih_first[size_t((gate * s.H + u) * s.I + k)] += dz * x(l, t, b, k);
        r.grad_input[row(t, b, s.I) + size_t(k)] += dz * W(l, gate, u, k);
      }
    }
  }

  const ProblemData<S>& d;
  const resblock::Sizes s;
  Results<double> r;
  std::vector<double> h;  // (L, T + 1, B, H), the initial state first
};
