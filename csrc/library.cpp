// The PyTorch side: schemas, argument checks and registration through the stable ABI. Nothing numerical.
#include <torch/csrc/stable/library.h>
#include <torch/csrc/stable/ops.h>
#include <torch/csrc/stable/tensor.h>
#include <torch/headeronly/core/ScalarType.h>

#include <optional>
#include <string>
#include <tuple>
#include <vector>

#include "core/cpu/plan.h"
#ifdef RESBLOCK_CUDA
#include "core/cuda/launch.h"
#include "cuda_stream.h"
#endif

namespace resblock {
namespace {

using torch::headeronly::ScalarType;
using torch::stable::Tensor;
using Shape = std::vector<int64_t>;

std::string text(const Shape& shape) {
  std::string out = "(";
  for (size_t k = 0; k < shape.size(); ++k) out += (k ? ", " : "") + std::to_string(shape[k]);
  return out + (shape.size() == 1 ? ",)" : ")");
}

Shape shape_of(const Tensor& t) {
  const auto sizes = t.sizes();
  return {sizes.begin(), sizes.end()};
}

// The arguments that forward and backward share, checked and made contiguous.
struct Arguments {
  Tensor input, weight_ih_first, weight_ih, weight_hh, weight_peephole, bias, h_0, c_0;
  std::optional<Tensor> lengths, dropout_seed;
  Sizes size;
  Options options;

  Tensor checked(const char* name, const Tensor& t, const Shape& shape) const {
    STD_TORCH_CHECK(shape_of(t) == shape, "residual_lstm: ", name, " has shape ", text(shape_of(t)), ", expected ",
                    text(shape));
    STD_TORCH_CHECK(t.scalar_type() == input.scalar_type(), "residual_lstm: ", name, " is ",
                    torch::headeronly::toString(t.scalar_type()), " but input is ",
                    torch::headeronly::toString(input.scalar_type()), "; all floating arguments must share one dtype");
    STD_TORCH_CHECK(t.is_cuda() == input.is_cuda() && t.get_device_index() == input.get_device_index(),
                    "residual_lstm: ", name, " and input are on different devices");
    return torch::stable::contiguous(t);
  }

  void check_sizes() {
    const ScalarType type = input.scalar_type();
    STD_TORCH_CHECK(type == ScalarType::Float || type == ScalarType::Double || type == ScalarType::BFloat16 ||
                        type == ScalarType::Half,
                    "residual_lstm: input is ", torch::headeronly::toString(type),
                    ", expected float32, float64, bfloat16 or float16");
    STD_TORCH_CHECK(input.dim() == 3, "residual_lstm: input has shape ", text(shape_of(input)),
                    ", expected (time, batch, features)");
    STD_TORCH_CHECK(weight_hh.dim() == 3 && weight_hh.size(0) > 0 && weight_hh.size(2) > 0,
                    "residual_lstm: weight_hh has shape ", text(shape_of(weight_hh)),
                    ", expected (layers, 4 * hidden, hidden) with at least one layer and one unit");
    size = {input.size(0), input.size(1), input.size(2), weight_hh.size(2), weight_hh.size(0)};
  }

  void check_tensors() {
    const auto [T, B, I, H, L] = size;
    weight_ih_first = checked("weight_ih_first", weight_ih_first, {4 * H, I});
    weight_ih = checked("weight_ih", weight_ih, {L - 1, 4 * H, H});
    weight_hh = checked("weight_hh", weight_hh, {L, 4 * H, H});
    weight_peephole = checked("weight_peephole", weight_peephole, {L, 3, H});
    bias = checked("bias", bias, {L, 4 * H});
    h_0 = checked("h_0", h_0, {L, B, H});
    c_0 = checked("c_0", c_0, {L, B, H});
    input = torch::stable::contiguous(input);
  }

  // On a GPU the values stay unread: looking at them would wait for the device.
  void check_lengths() {
    if (!lengths) return;
    STD_TORCH_CHECK(lengths->scalar_type() == ScalarType::Long && shape_of(*lengths) == Shape{size.B},
                    "residual_lstm: lengths must be int64 of shape ", text({size.B}), ", got ",
                    torch::headeronly::toString(lengths->scalar_type()), " of shape ", text(shape_of(*lengths)));
    STD_TORCH_CHECK(lengths->is_cuda() == input.is_cuda(), "residual_lstm: lengths and input are on different devices");
    lengths = torch::stable::contiguous(*lengths);
    if (lengths->is_cuda()) return;
    const int64_t* length = lengths->const_data_ptr<int64_t>();
    for (int64_t b = 0; b < size.B; ++b)
      STD_TORCH_CHECK(length[b] >= 1 && length[b] <= size.T, "residual_lstm: lengths[", b, "] is ", length[b],
                      ", expected 1 to ", size.T, " (the number of time steps)");
  }

  void check_options(double dropout_p, bool residual, bool output_peephole_previous) {
    STD_TORCH_CHECK(dropout_p >= 0 && dropout_p <= 1, "residual_lstm: dropout_p is ", dropout_p, ", expected 0 to 1");
    uint64_t seed = 0;
    if (dropout_p > 0) {
      STD_TORCH_CHECK(dropout_seed.has_value(), "residual_lstm: dropout_p is ", dropout_p,
                      " but no dropout_seed was given");
      const bool is_beside_input =
          dropout_seed->is_cuda() == input.is_cuda() && dropout_seed->get_device_index() == input.get_device_index();
      STD_TORCH_CHECK(dropout_seed->scalar_type() == ScalarType::Long && dropout_seed->numel() == 1 &&
                          (dropout_seed->is_cpu() || is_beside_input),
                      "residual_lstm: dropout_seed must be one int64 on the CPU or on the device of input");
      // On a GPU the kernels read it.
      if (dropout_seed->is_cpu()) seed = uint64_t(*dropout_seed->const_data_ptr<int64_t>());
    }
    options = {dropout_p, seed, residual, output_peephole_previous, 0};
  }

  Arguments(Tensor input, Tensor weight_ih_first, Tensor weight_ih, Tensor weight_hh, Tensor weight_peephole,
            Tensor bias, Tensor h_0, Tensor c_0, std::optional<Tensor> lengths, double dropout_p,
            std::optional<Tensor> dropout_seed, bool residual, bool output_peephole_previous)
      : input(input),
        weight_ih_first(weight_ih_first),
        weight_ih(weight_ih),
        weight_hh(weight_hh),
        weight_peephole(weight_peephole),
        bias(bias),
        h_0(h_0),
        c_0(c_0),
        lengths(lengths),
        dropout_seed(dropout_seed) {
    check_sizes();
    check_tensors();
    check_lengths();
    check_options(dropout_p, residual, output_peephole_previous);
  }

  Tensor empty(const Shape& shape) const { return torch::stable::new_empty(input, shape); }

  ScalarType arithmetic_type() const {
    return input.scalar_type() == ScalarType::Double ? ScalarType::Double : ScalarType::Float;
  }
};

template <class S>
const S* read(const Tensor& t) {
  return static_cast<const S*>(t.const_data_ptr());
}

template <class S>
S* write(const Tensor& t) {
  return static_cast<S*>(t.mutable_data_ptr());
}

template <class S>
Inputs<S> inputs(const Arguments& a) {
  return {a.size,
          a.options,
          read<S>(a.input),
          {read<S>(a.weight_ih_first), read<S>(a.weight_ih), read<S>(a.weight_hh), read<S>(a.weight_peephole),
           read<S>(a.bias)},
          read<S>(a.h_0),
          read<S>(a.c_0),
          a.lengths ? a.lengths->const_data_ptr<int64_t>() : nullptr};
}

// Calls body with a value of the storage type.
template <class Body>
void dispatch(ScalarType type, const Body& body) {
  switch (type) {
    case ScalarType::Double:
      return body(double());
    case ScalarType::BFloat16:
      return body(bfloat16());
    case ScalarType::Half:
      return body(float16());
    default:
      return body(float());
  }
}

struct OnCpu {
  // torch's intra-op threads. A single task stays on the calling thread.
  static void run(void*, int64_t tasks, void (*task)(const void*, int64_t), const void* argument) {
    torch::stable::parallel_for(0, tasks, 1, [=](int64_t begin, int64_t end) {
      for (int64_t index = begin; index < end; ++index) task(argument, index);
    });
  }

  template <class S>
  static void forward(const Arguments&, const Forward<S>& problem) {
    cpu::forward(problem, {nullptr, run});
  }
  template <class S>
  static void backward(const Arguments&, const Backward<S>& problem) {
    cpu::backward(problem, {nullptr, run});
  }
};

#ifdef RESBLOCK_CUDA
struct OnCuda {
  static Tensor workspace(const Arguments& a, size_t bytes) {
    return torch::stable::new_empty(a.input, Shape{int64_t(bytes)}, ScalarType::Byte);
  }

  // cuBLAS on the current stream, with torch's settings: tf32 if they allow it.
  template <class A>
  static const char* multiply(void* input, const cuda::MatrixProduct<A>& p) {
    const Tensor& like = *static_cast<const Tensor*>(input);
    const ScalarType type = sizeof(A) == sizeof(double) ? ScalarType::Double : ScalarType::Float;
    auto matrix = [&](const A* data, int64_t rows, int64_t columns, bool transposed) {
      const Shape sizes = {rows, columns}, strides = transposed ? Shape{1, rows} : Shape{columns, 1};
      return torch::stable::from_blob(const_cast<A*>(data), sizes, strides, like.device(), type);
    };
    Tensor to = matrix(p.to, p.m, p.n, false);
    torch::stable::copy_(
        to, torch::stable::matmul(matrix(p.a, p.m, p.k, p.a_transposed), matrix(p.b, p.k, p.n, p.b_transposed)));
    return nullptr;
  }

  static cuda::Context context(const Arguments& a, const CudaStream& stream) {
    const bool reads_seed = a.options.dropout > 0 && a.dropout_seed->is_cuda();
    return {stream.get(),
            reads_seed ? a.dropout_seed->const_data_ptr<int64_t>() : nullptr,
            {const_cast<Tensor*>(&a.input), multiply<float>, multiply<double>}};
  }

  template <class S>
  static void forward(const Arguments& a, const Forward<S>& problem) {
    const CudaStream stream(a.input.get_device_index());
    const Tensor scratch = workspace(a, cuda::forward_workspace(problem));
    const char* error = cuda::forward(problem, context(a, stream), scratch.mutable_data_ptr());
    STD_TORCH_CHECK(!error, "residual_lstm: ", error);
  }
  template <class S>
  static void backward(const Arguments& a, const Backward<S>& problem) {
    const CudaStream stream(a.input.get_device_index());
    const Tensor scratch = workspace(a, cuda::backward_workspace(problem));
    const char* error = cuda::backward(problem, context(a, stream), scratch.mutable_data_ptr());
    STD_TORCH_CHECK(!error, "residual_lstm_backward: ", error);
  }
};
#endif

template <class Device>
std::tuple<Tensor, Tensor, Tensor, Tensor> residual_lstm(Tensor input, Tensor weight_ih_first, Tensor weight_ih,
                                                         Tensor weight_hh, Tensor weight_peephole, Tensor bias,
                                                         Tensor h_0, Tensor c_0, std::optional<Tensor> lengths,
                                                         double dropout_p, std::optional<Tensor> dropout_seed,
                                                         bool residual, bool output_peephole_previous,
                                                         bool needs_backward) {
  const Arguments a(input, weight_ih_first, weight_ih, weight_hh, weight_peephole, bias, h_0, c_0, lengths, dropout_p,
                    dropout_seed, residual, output_peephole_previous);
  const auto [T, B, I, H, L] = a.size;
  const Tensor output = a.empty({T, B, H}), h_n = a.empty({L, B, H}), c_n = a.empty({L, B, H});
  const int64_t kept = needs_backward ? L * saved_per_layer(a.size) : 0;
  const Tensor saved = torch::stable::new_empty(a.input, Shape{kept}, a.arithmetic_type());
  dispatch(a.input.scalar_type(), [&](auto type) {
    using S = decltype(type);
    Device::forward(a, Forward<S>{inputs<S>(a), write<S>(output), write<S>(h_n), write<S>(c_n),
                                  needs_backward ? write<Arithmetic<S>>(saved) : nullptr});
  });
  return {output, h_n, c_n, saved};
}

template <class Device>
std::tuple<Tensor, Tensor, Tensor, Tensor, Tensor, Tensor, Tensor, Tensor> residual_lstm_backward(
    Tensor grad_output, Tensor grad_h_n, Tensor grad_c_n, Tensor input, Tensor weight_ih_first, Tensor weight_ih,
    Tensor weight_hh, Tensor weight_peephole, Tensor bias, Tensor h_0, Tensor c_0, std::optional<Tensor> lengths,
    double dropout_p, std::optional<Tensor> dropout_seed, bool residual, bool output_peephole_previous, Tensor saved) {
  const Arguments a(input, weight_ih_first, weight_ih, weight_hh, weight_peephole, bias, h_0, c_0, lengths, dropout_p,
                    dropout_seed, residual, output_peephole_previous);
  const auto [T, B, I, H, L] = a.size;
  grad_output = a.checked("grad_output", grad_output, {T, B, H});
  grad_h_n = a.checked("grad_h_n", grad_h_n, {L, B, H});
  grad_c_n = a.checked("grad_c_n", grad_c_n, {L, B, H});
  STD_TORCH_CHECK(saved.numel() == L * saved_per_layer(a.size) && saved.scalar_type() == a.arithmetic_type(),
                  "residual_lstm_backward: saved has ", saved.numel(), " values, expected ",
                  L * saved_per_layer(a.size), "; was the forward pass run with needs_backward?");
  saved = torch::stable::contiguous(saved);
  const Tensor d_input = a.empty({T, B, I}), d_ih_first = a.empty({4 * H, I}), d_ih = a.empty({L - 1, 4 * H, H}),
               d_hh = a.empty({L, 4 * H, H}), d_peephole = a.empty({L, 3, H}), d_bias = a.empty({L, 4 * H}),
               d_h_0 = a.empty({L, B, H}), d_c_0 = a.empty({L, B, H});
  dispatch(a.input.scalar_type(), [&](auto type) {
    using S = decltype(type);
    Device::backward(
        a, Backward<S>{inputs<S>(a),
                       read<S>(grad_output),
                       read<S>(grad_h_n),
                       read<S>(grad_c_n),
                       read<Arithmetic<S>>(saved),
                       write<S>(d_input),
                       {write<S>(d_ih_first), write<S>(d_ih), write<S>(d_hh), write<S>(d_peephole), write<S>(d_bias)},
                       write<S>(d_h_0),
                       write<S>(d_c_0)});
  });
  return {d_input, d_ih_first, d_ih, d_hh, d_peephole, d_bias, d_h_0, d_c_0};
}

// The mask that the kernels draw for themselves, for whoever wants to redo their work step by step: float64,
// (layers - 1, steps, sequences, units).
Tensor dropout_mask(Tensor seed, int64_t layers, int64_t steps, int64_t sequences, int64_t units, double dropout_p) {
  const Tensor mask = torch::stable::new_empty(seed, Shape{layers - 1, steps, sequences, units}, ScalarType::Double);
  const Options options = {dropout_p, uint64_t(*seed.const_data_ptr<int64_t>()), false, false};
  cpu::dropout_mask({steps, sequences, 0, units, layers}, options, write<double>(mask));
  return mask;
}

std::string instruction_set() { return cpu::instruction_set(); }

std::string cpu_schedules() { return cpu::schedules(); }

// Empty where the module was built without CUDA.
std::string cuda_schedules() {
#ifdef RESBLOCK_CUDA
  return cuda::schedules();
#else
  return "";
#endif
}

}  // namespace
}  // namespace resblock

STABLE_TORCH_LIBRARY(resblock, m) {
  m.def(
      "residual_lstm(Tensor input, Tensor weight_ih_first, Tensor weight_ih, Tensor weight_hh, Tensor weight_peephole, "
      "Tensor bias, Tensor h_0, Tensor c_0, Tensor? lengths, float dropout_p, Tensor? dropout_seed, bool residual, "
      "bool output_peephole_previous, bool needs_backward) -> (Tensor output, Tensor h_n, Tensor c_n, Tensor saved)");
  m.def(
      "residual_lstm_backward(Tensor grad_output, Tensor grad_h_n, Tensor grad_c_n, Tensor input, "
      "Tensor weight_ih_first, Tensor weight_ih, Tensor weight_hh, Tensor weight_peephole, Tensor bias, Tensor h_0, "
      "Tensor c_0, Tensor? lengths, float dropout_p, Tensor? dropout_seed, bool residual, "
      "bool output_peephole_previous, Tensor saved) -> (Tensor grad_input, Tensor grad_weight_ih_first, "
      "Tensor grad_weight_ih, Tensor grad_weight_hh, Tensor grad_weight_peephole, Tensor grad_bias, Tensor grad_h_0, "
      "Tensor grad_c_0)");
  m.def(
      "residual_lstm_dropout_mask(Tensor dropout_seed, SymInt layers, SymInt steps, SymInt sequences, SymInt units, "
      "float dropout_p) -> Tensor");
  m.def("instruction_set() -> str");
  m.def("cpu_schedules() -> str");
  m.def("cuda_schedules() -> str");
}

STABLE_TORCH_LIBRARY_IMPL(resblock, CompositeExplicitAutograd, m) {
  m.impl("instruction_set", TORCH_BOX(&resblock::instruction_set));
  m.impl("cpu_schedules", TORCH_BOX(&resblock::cpu_schedules));
  m.impl("cuda_schedules", TORCH_BOX(&resblock::cuda_schedules));
}

STABLE_TORCH_LIBRARY_IMPL(resblock, CPU, m) {
  m.impl("residual_lstm", TORCH_BOX(&resblock::residual_lstm<resblock::OnCpu>));
  m.impl("residual_lstm_backward", TORCH_BOX(&resblock::residual_lstm_backward<resblock::OnCpu>));
  m.impl("residual_lstm_dropout_mask", TORCH_BOX(&resblock::dropout_mask));
}

#ifdef RESBLOCK_CUDA
STABLE_TORCH_LIBRARY_IMPL(resblock, CUDA, m) {
  m.impl("residual_lstm", TORCH_BOX(&resblock::residual_lstm<resblock::OnCuda>));
  m.impl("residual_lstm_backward", TORCH_BOX(&resblock::residual_lstm_backward<resblock::OnCuda>));
}
#endif
