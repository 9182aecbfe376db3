// The forward and the backward pass of one problem, from tensors to the kernels of a device. A Device says whether its
// kernels take numbers that are stored in 16 bits, stores_halves, and offers, for every storage type S,
//
//     inference<S>(arguments) and training<S>(arguments), its plans (core/plan.h),
//     run(arguments, plan, problem), which runs one with the problem's pass.
#pragma once
#include "arguments.h"

namespace resblock {

struct ForwardResults {
  Tensor output, h_n, c_n;
};

// The gradients of the weights, in the order of Weights.
using WeightGradients = std::array<Tensor, 5>;

struct OutputGradients {
  Tensor output, h_n, c_n;
};

// Training seldom asks for the gradients of what the network is given.
struct Wanted {
  bool input, states;
};

struct InputGradients {
  Tensor input;
  WeightGradients weights;
  Tensor h_0, c_0;
};

inline ForwardResults empty_results(const Arguments& a) {
  const auto [T, B, I, H, L] = a.size;
  return {a.empty({T, B, H}), a.empty({L, B, H}), a.empty({L, B, H})};
}

inline WeightGradients empty_weights(const Arguments& a) {
  return {a.empty(shape_of(a.weight_ih_first)), a.empty(shape_of(a.weight_ih)), a.empty(shape_of(a.weight_hh)),
          a.empty(shape_of(a.weight_peephole)), a.empty(shape_of(a.bias))};
}

inline Tensor empty_if(bool wanted, const Arguments& a, const Shape& shape) {
  return a.empty(wanted ? shape : Shape{0});
}

inline InputGradients empty_gradients(const Arguments& a, Wanted wanted) {
  return {empty_if(wanted.input, a, shape_of(a.input)), empty_weights(a), empty_if(wanted.states, a, shape_of(a.h_0)),
          empty_if(wanted.states, a, shape_of(a.c_0))};
}

inline int64_t saved_size(const Sizes& size) { return size.L * saved_per_layer(size); }

// What the backward pass of a problem of this size needs of its forward pass.
inline Tensor empty_saved(const Arguments& a, const Sizes& size) {
  return a.empty({saved_size(size)}, a.arithmetic_type());
}

template <class S>
Forward<S> forward_problem(const Arguments& a, const ForwardResults& results, Arithmetic<S>* saved) {
  return {inputs<S>(a), write<S>(results.output), write<S>(results.h_n), write<S>(results.c_n), saved};
}

// No backward pass can follow.
template <class Device>
void inference_pass(const Arguments& a, const ForwardResults& results) {
  dispatch<Device::stores_halves>(a.input.scalar_type(), [&](auto type) {
    using S = decltype(type);
    Device::run(a, Device::template inference<S>(a), forward_problem<S>(a, results, nullptr));
  });
}

template <class Device>
void training_pass(const Arguments& a, const ForwardResults& results, const Tensor& saved) {
  dispatch<Device::stores_halves>(a.input.scalar_type(), [&](auto type) {
    using S = decltype(type);
    Device::run(a, Device::template training<S>(a).forward,
                forward_problem<S>(a, results, write<Arithmetic<S>>(saved)));
  });
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
                            {write<S>(ih_first), write<S>(ih), write<S>(hh), write<S>(peephole), write<S>(bias)},
                            write_if_any<S>(to.h_0),
                            write_if_any<S>(to.c_0)});
  });
}

}  // namespace resblock
