// The forward and the backward pass of one problem, from tensors to the kernels of a device. A Device says whether its
// kernels take numbers that are stored in 16 bits, stores_halves, and offers, for every storage type S,
//
//     inference<S>(arguments) and training<S>(arguments), its plans (core/plan.h),
//     run(arguments, plan, problem), which runs one with the problem's pass.
#pragma once
#include "arguments.h"
#include "core/cpu/plan.h"

namespace resblock {

struct ForwardResults {
  Tensor output, h_n, c_n;
  std::optional<Tensor> cells;
};

// The gradients of the weights, in the order of Weights.
using WeightGradients = std::array<Tensor, 5>;

struct OutputGradients {
  Tensor output, h_n, c_n;
  std::optional<Tensor> cells;
};

// Which gradients are wanted, a bit for each of the eight tensors in the operator's order: training seldom asks for
// those of what the network is given, and frozen weights have none.
struct Wanted {
  int64_t bits;

  bool operator[](size_t tensor) const { return bits >> tensor & 1; }
  bool states() const { return (*this)[6] || (*this)[7]; }
};
constexpr size_t first_weight = 1;  // among the eight

struct InputGradients {
  Tensor input;
  WeightGradients weights;
  Tensor h_0, c_0;
};

inline std::optional<Tensor> empty_cells(const Arguments& a) {
  if (!a.wants_cells) return std::nullopt;
  return a.empty(a.cells_shape());
}

inline ForwardResults empty_results(const Arguments& a) {
  const auto [T, B, I, H, L] = a.size;
  return {a.empty(a.shape_over_time(H)), a.empty({L, B, H}), a.empty({L, B, H}), empty_cells(a)};
}

inline Tensor empty_if(bool wanted, const Arguments& a, const Shape& shape) {
  return a.empty(wanted ? shape : Shape{0});
}

inline WeightGradients empty_weights(const Arguments& a, Wanted wanted) {
  const Tensor* weights[] = {&a.weight_ih_first, &a.weight_ih, &a.weight_hh, &a.weight_peephole, &a.bias};
  WeightGradients gradients;
  for (size_t k = 0; k < gradients.size(); ++k)
    gradients[k] = empty_if(wanted[first_weight + k], a, shape_of(*weights[k]));
  return gradients;
}

inline InputGradients empty_gradients(const Arguments& a, Wanted wanted) {
  return {empty_if(wanted[0], a, shape_of(a.input)), empty_weights(a, wanted),
          empty_if(wanted.states(), a, shape_of(a.h_0)), empty_if(wanted.states(), a, shape_of(a.c_0))};
}

// Saved activations of a batch without lengths: no other needs more, but for what lies idle beside pieces.
inline int64_t full_saved_size(const Arguments& a) {
  return a.size.L * saved_per_layer(a.size) * (a.resets && a.input.is_cpu() ? cpu::most_saved_of_pieces : 1);
}

// What the backward pass needs of its forward pass.
template <class Device>
int64_t saved_size(const Arguments& a) {
  int64_t values = 0;
  dispatch<Device::stores_halves>(a.input.scalar_type(), [&](auto type) {
    using S = decltype(type);
    values = Device::template training<S>(a).forward.saved / int64_t(sizeof(Arithmetic<S>));
  });
  return values;
}

template <class S>
Forward<S> forward_problem(const Arguments& a, const ForwardResults& results, Arithmetic<S>* saved) {
  return {inputs<S>(a),
          write<S>(results.output),
          write<S>(results.h_n),
          write<S>(results.c_n),
          saved,
          results.cells ? write_if_any<S>(*results.cells) : nullptr};
}

// No backward pass can follow.
template <class Device>
void inference_pass(const Arguments& a, const ForwardResults& results) {
  dispatch<Device::stores_halves>(a.input.scalar_type(), [&](auto type) {
    using S = decltype(type);
    Device::run(a, Device::template inference<S>(a), forward_problem<S>(a, results, nullptr));
  });
}

// Gives the saved activations; in memory for those of a full batch, if so wanted, with zeros beyond them.
template <class Device>
Tensor training_pass(const Arguments& a, const ForwardResults& results, bool full_saved = false) {
  Tensor saved;
  dispatch<Device::stores_halves>(a.input.scalar_type(), [&](auto type) {
    using S = decltype(type);
    const auto plan = Device::template training<S>(a).forward;
    const int64_t needed = plan.saved / int64_t(sizeof(Arithmetic<S>));
    const int64_t size = full_saved ? full_saved_size(a) : needed;
    saved = a.empty({size}, a.arithmetic_type());
    // What a graph returns is to be the same every time.
    if (size > needed) std::fill_n(write<Arithmetic<S>>(saved) + needed, size_t(size - needed), Arithmetic<S>(0));
    Device::run(a, plan, forward_problem<S>(a, results, write<Arithmetic<S>>(saved)));
  });
  return saved;
}

template <class Device>
void backward_pass(const Arguments& a, const OutputGradients& of, const Tensor& saved, const InputGradients& to) {
  dispatch<Device::stores_halves>(a.input.scalar_type(), [&](auto type) {
    using S = decltype(type);
    const auto& [ih_first, ih, hh, peephole, bias] = to.weights;
    Device::run(a, Device::template training<S>(a),
                Backward<S>{inputs<S>(a),
                            read<S>(of.output),
                            read_state<S>(of.h_n),
                            read_state<S>(of.c_n),
                            read<Arithmetic<S>>(saved),
                            write_if_any<S>(to.input),
                            {write_if_any<S>(ih_first), write_if_any<S>(ih), write_if_any<S>(hh),
                             write_if_any<S>(peephole), write_if_any<S>(bias)},
                            write_if_any<S>(to.h_0),
                            write_if_any<S>(to.c_0),
                            of.cells ? read<S>(*of.cells) : nullptr});
  });
}

}  // namespace resblock
