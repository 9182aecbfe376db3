// The PyTorch side: the operators, their schemas and their registration through the stable ABI. Nothing numerical.
#include <memory>
#include <tuple>

#include "checkpoint.h"
#include "core/cpu/dropout_mask.h"
#include "core/cpu/run.h"
#ifdef RESBLOCK_CUDA
#include "core/cuda/run.h"
#include "cuda_stream.h"
#include "multiply.h"
#endif
#include "plans.h"

namespace resblock {
namespace {

struct OnCpu {
  static constexpr bool omits_unwanted = true;  // the kernels take null for gradients that nobody wants
  // Kernels for each half type would take longer to compile than converting takes in any call that is worth half types.
  static constexpr bool stores_halves = false;

  static cpu::Machine machine() { return {cpu::processor_isa(), int64_t(torch::stable::get_num_threads())}; }

  // Whether the kernels take the matrices of these weights as they are.
  static bool multiplies_bfloat16(const Arguments& a) {
    return a.input.scalar_type() == ScalarType::BFloat16 &&
           cpu::multiplies_bfloat16(machine(), a.request<cpu::Schedule>(cpu::schedule_names));
  }

  template <class S>
  static cpu::Plan inference(const Arguments& a) {
    return cpu::plan_inference<S>(machine(), a.request<cpu::Schedule>(cpu::schedule_names));
  }
  template <class S>
  static cpu::Training training(const Arguments& a) {
    return cpu::plan_training<S>(machine(), a.request<cpu::Schedule>(cpu::schedule_names));
  }

  template <class S>
  static void run(const Arguments&, const cpu::Plan& plan, const Forward<S>& problem) {
    cpu::run(plan, problem, threads(), workspace(plan)->data());
  }
  template <class S>
  static void run(const Arguments&, const cpu::Training& plan, const Backward<S>& problem) {
    cpu::run(plan, problem, threads(), workspace(plan.backward)->data());
  }

 private:
  static std::unique_ptr<cpu::Workspace> workspace(const cpu::Plan& plan) {
    return with_memory_for("workspace", plan.workspace,
                           [&] { return std::make_unique<cpu::Workspace>(plan.workspace); });
  }

  // torch's intra-op threads. A single task stays on the calling thread.
  static void run_tasks(void*, int64_t tasks, void (*task)(const void*, int64_t), const void* argument) {
    torch::stable::parallel_for(0, tasks, 1, [=](int64_t begin, int64_t end) {
      for (int64_t index = begin; index < end; ++index) task(argument, index);
    });
  }

  static cpu::Parallel threads() { return {nullptr, int64_t(torch::stable::get_num_threads()), run_tasks}; }
};

#ifdef RESBLOCK_CUDA
struct OnCuda {
  static constexpr bool omits_unwanted = false;
  static constexpr bool stores_halves = true;

 private:
  using DeviceGuard = torch::stable::accelerator::DeviceGuard;

  // cuBLAS on the current stream, with torch's settings: tf32 and sums in 16 bits if they allow it. Not matmul, which
  // an autocast region around a backward pass would run in another type.
  template <class S>
  static const char* multiply(void* input, const cuda::MatrixProduct<S>& p) {
    const Tensor& like = *static_cast<const Tensor*>(input);
    auto matrix = [&](const S* data, int64_t rows, int64_t columns, bool transposed) {
      const Shape sizes = {rows, columns}, strides = transposed ? Shape{1, rows} : Shape{columns, 1};
      return torch::stable::from_blob(const_cast<S*>(data), sizes, strides, like.device(), like.scalar_type());
    };
    multiply_into(matrix(p.to, p.m, p.n, false), matrix(p.a, p.m, p.k, p.a_transposed),
                  matrix(p.b, p.k, p.n, p.b_transposed));
    return nullptr;
  }

  static cuda::Context context(const Arguments& a, const CudaStream& stream) {
    const bool reads_seed = a.options.dropout > 0 && a.dropout_seed->is_cuda();
    return {stream.get(),
            reads_seed ? a.dropout_seed->const_data_ptr<int64_t>() : nullptr,
            {const_cast<Tensor*>(&a.input), multiply<float>, multiply<double>, multiply<bfloat16>, multiply<float16>}};
  }

  static int64_t bytes(const cuda::Plan& plan) { return plan.workspace; }
  static int64_t bytes(const cuda::Training& plan) { return plan.backward.workspace; }

 public:
  template <class S>
  static cuda::Plan inference(const Arguments& a) {
    const DeviceGuard guard(a.input.get_device_index());
    return cuda::plan_inference<S>(cuda::current_machine(), a.request<cuda::Schedule>(cuda::schedule_names));
  }
  template <class S>
  static cuda::Training training(const Arguments& a) {
    const DeviceGuard guard(a.input.get_device_index());
    return cuda::plan_training<S>(cuda::current_machine(), a.request<cuda::Schedule>(cuda::schedule_names));
  }

  template <class Plan, class Problem>
  static void run(const Arguments& a, const Plan& plan, const Problem& problem) {
    const CudaStream stream(a.input.get_device_index());
    const Tensor scratch = torch::stable::new_empty(a.input, Shape{bytes(plan)}, ScalarType::Byte);
    const char* error = cuda::run(plan, problem, context(a, stream), scratch.mutable_data_ptr());
    RESBLOCK_REQUIRE(!error, "residual_lstm: ", error);
  }
};
#endif

// Into the type that is computed in, where that is the only one the device's kernels take.
template <class Device>
void convert_for(Arguments& a) {
  if constexpr (!Device::stores_halves) {
    const ScalarType type = a.arithmetic_type();
    a.convert_weights_and_states(type, !Device::multiplies_bfloat16(a));
    a.input = converted(a.input, type);
  }
}

// Checked before it is copied: it may have been freed.
Tensor checked_saved(const Arguments& a, const Tensor& saved, const Shape& shape, const Shape& or_shape) {
  RESBLOCK_REQUIRE(a.is_beside_input(saved), "residual_lstm_backward: saved and input are on different devices");
  RESBLOCK_REQUIRE(saved.scalar_type() == a.arithmetic_type(), "residual_lstm_backward: saved is ",
                   torch::headeronly::toString(saved.scalar_type()), ", expected ",
                   torch::headeronly::toString(a.arithmetic_type()));
  RESBLOCK_REQUIRE(shape_of(saved) == shape || shape_of(saved) == or_shape, "residual_lstm_backward: saved has shape ",
                   text(shape_of(saved)), ", expected ", text(shape),
                   "; was the forward pass run with checkpoint_chunks?");
  check_storage("saved", saved);
  return made_contiguous(saved);
}

void check_chunks(int64_t checkpoint_chunks) {
  RESBLOCK_REQUIRE(checkpoint_chunks >= 0, "residual_lstm: checkpoint_chunks is ", checkpoint_chunks,
                   ", expected 0 (save everything) or the number of chunks");
}

// No backward pass follows, whatever checkpoint_chunks and full_saved say: they are there for residual_lstm_training.
template <class Device>
std::tuple<Tensor, Tensor, Tensor, std::optional<Tensor>> residual_lstm(
    Tensor input, Tensor weight_ih_first, Tensor weight_ih, Tensor weight_hh, Tensor weight_peephole, Tensor bias,
    Tensor h_0, Tensor c_0, std::optional<Tensor> lengths, std::optional<Tensor> batch_sizes,
    std::optional<Tensor> order, std::optional<Tensor> resets, double dropout_p, std::optional<Tensor> dropout_seed,
    bool residual, bool output_peephole_previous, std::optional<std::string> schedule, int64_t checkpoint_chunks, bool,
    bool cells) {
  Arguments a(input, weight_ih_first, weight_ih, weight_hh, weight_peephole, bias, h_0, c_0, lengths, batch_sizes,
              order, resets, dropout_p, dropout_seed, residual, output_peephole_previous, schedule);
  a.wants_cells = cells;
  check_chunks(checkpoint_chunks);
  const ScalarType given = a.input.scalar_type();
  convert_for<Device>(a);
  const ForwardResults results = empty_results(a);
  inference_pass<Device>(a, results);
  return {converted(results.output, given), converted(results.h_n, given), converted(results.c_n, given),
          converted_if_any(results.cells, given)};
}

// What `saved` is follows from checkpoint_chunks. 0: all that the backward pass needs, in one dimension: with lengths
// on a CPU less than without, but for `full_saved`, for graphs whose shapes must not follow from values. n: the states
// between n chunks of time, (n - 1, 2, L, B, H), n at most T.
template <class Device>
std::tuple<Tensor, Tensor, Tensor, std::optional<Tensor>, Tensor> residual_lstm_training(
    Tensor input, Tensor weight_ih_first, Tensor weight_ih, Tensor weight_hh, Tensor weight_peephole, Tensor bias,
    Tensor h_0, Tensor c_0, std::optional<Tensor> lengths, std::optional<Tensor> batch_sizes,
    std::optional<Tensor> order, std::optional<Tensor> resets, double dropout_p, std::optional<Tensor> dropout_seed,
    bool residual, bool output_peephole_previous, std::optional<std::string> schedule, int64_t checkpoint_chunks,
    bool full_saved, bool cells) {
  Arguments a(input, weight_ih_first, weight_ih, weight_hh, weight_peephole, bias, h_0, c_0, lengths, batch_sizes,
              order, resets, dropout_p, dropout_seed, residual, output_peephole_previous, schedule);
  a.wants_cells = cells;
  check_chunks(checkpoint_chunks);
  const ScalarType given = a.input.scalar_type();
  convert_for<Device>(a);
  const ForwardResults results = empty_results(a);
  Tensor saved;
  if (checkpoint_chunks) {
    const Chunks chunks(a, checkpoint_chunks);
    saved = a.empty(chunks.states_shape(), a.arithmetic_type());
    forward_in_chunks<Device>(chunks, results, saved);
  } else {
    saved = training_pass<Device>(a, results, full_saved);
  }
  return {converted(results.output, given), converted(results.h_n, given), converted(results.c_n, given),
          converted_if_any(results.cells, given), saved};
}

// Gradients that are not wanted are empty.
template <class Device>
std::tuple<Tensor, Tensor, Tensor, Tensor, Tensor, Tensor, Tensor, Tensor> residual_lstm_backward(
    Tensor grad_output, Tensor grad_h_n, Tensor grad_c_n, std::optional<Tensor> grad_cells, Tensor input,
    Tensor weight_ih_first, Tensor weight_ih, Tensor weight_hh, Tensor weight_peephole, Tensor bias, Tensor h_0,
    Tensor c_0, std::optional<Tensor> lengths, std::optional<Tensor> batch_sizes, std::optional<Tensor> order,
    std::optional<Tensor> resets, double dropout_p, std::optional<Tensor> dropout_seed, bool residual,
    bool output_peephole_previous, std::optional<std::string> schedule, Tensor saved, int64_t wanted_bits) {
  Arguments a(input, weight_ih_first, weight_ih, weight_hh, weight_peephole, bias, h_0, c_0, lengths, batch_sizes,
              order, resets, dropout_p, dropout_seed, residual, output_peephole_previous, schedule);
  const auto [T, B, I, H, L] = a.size;
  OutputGradients of = {a.checked("grad_output", grad_output, a.shape_over_time(H)),
                        a.checked_state("grad_h_n", grad_h_n), a.checked_state("grad_c_n", grad_c_n), std::nullopt};
  if (grad_cells) of.cells = a.checked("grad_cells", *grad_cells, a.cells_shape());
  const ScalarType given = a.input.scalar_type();
  convert_for<Device>(a);
  const ScalarType type = a.input.scalar_type();
  of = {converted(of.output, type), converted_state(of.h_n, type), converted_state(of.c_n, type),
        converted_if_any(of.cells, type)};
  InputGradients to;
  const Wanted wanted = {wanted_bits}, made = {Device::omits_unwanted ? wanted_bits : -1};
  if (saved.dim() == 5) {
    const Chunks chunks(a, saved.size(0) + 1);
    to = backward_in_chunks<Device>(chunks, of, checked_saved(a, saved, chunks.states_shape(), {}), made);
  } else {
    saved = checked_saved(a, saved, {saved_size<Device>(a)}, {full_saved_size(a)});
    to = empty_gradients(a, made);
    backward_pass<Device>(a, of, saved, to);
  }
  const auto& [d_ih_first, d_ih, d_hh, d_peephole, d_bias] = to.weights;
  const auto result = [&](const Tensor& gradient, size_t tensor) {
    return wanted[tensor] ? converted(gradient, given) : a.empty({0}, given);
  };
  return {result(to.input, 0),   result(d_ih_first, 1), result(d_ih, 2),   result(d_hh, 3),
          result(d_peephole, 4), result(d_bias, 5),     result(to.h_0, 6), result(to.c_0, 7)};
}

// The mask that the kernels of every device draw for themselves, for whoever wants to redo their work step by step:
// float64, (layers - 1, steps, sequences, units). On the CPU only.
Tensor dropout_mask(Tensor seed, int64_t layers, int64_t steps, int64_t sequences, int64_t units, double dropout_p) {
  RESBLOCK_REQUIRE(layers >= 1, "residual_lstm: layers is ", layers, ", expected at least 1");
  check_sizes({steps, sequences, 0, units, layers});
  check_seed(seed);
  check_probability(dropout_p);
  const Tensor mask = torch::stable::new_empty(seed, Shape{layers - 1, steps, sequences, units}, ScalarType::Double);
  const Options options = {dropout_p, uint64_t(*seed.const_data_ptr<int64_t>()), false, false};
  // Sizes whose product is zero may be larger than any loop should be long.
  if (mask.numel()) cpu::dropout_mask({steps, sequences, 0, units, layers}, options, write<double>(mask));
  return mask;
}

int64_t empty_block_cache() { return int64_t(cpu::block_cache().empty()); }

std::string instruction_set() { return cpu::name(cpu::processor_isa()); }

template <size_t count>
std::string joined(const char* const (&names)[count]) {
  std::string text;
  for (const char* name : names) text += (text.empty() ? "" : " ") + std::string(name);
  return text;
}

std::string cpu_schedules() { return joined(cpu::schedule_names); }

// Empty where the module was built without CUDA.
std::string cuda_schedules() {
#ifdef RESBLOCK_CUDA
  return joined(cuda::schedule_names);
#else
  return "";
#endif
}

void check_planned(ScalarType type, const Sizes& s) {
  RESBLOCK_REQUIRE(is_floating(type), "plan: dtype is ", torch::headeronly::toString(type),
                   ", expected float32, float64, bfloat16 or float16");
  check_sizes(s);
  RESBLOCK_REQUIRE(s.H >= 1 && s.L >= 1, "plan: ", s.H, " units and ", s.L, " layers, expected at least one of each");
}

// What a call of these sizes gets on the CPU, with so many threads and on an instruction set that may be another
// processor's.
std::string cpu_plan(ScalarType type, int64_t steps, int64_t sequences, int64_t inputs, int64_t units, int64_t layers,
                     bool dropout, bool training, std::optional<std::string> schedule, std::string instruction_set,
                     int64_t threads) {
  check_planned(type, {steps, sequences, inputs, units, layers});
  RESBLOCK_REQUIRE(threads >= 1, "plan: threads is ", threads, ", expected at least 1");
  RESBLOCK_REQUIRE(instruction_set == cpu::name(cpu::isa_of(instruction_set.c_str())), "plan: instruction set ",
                   instruction_set, " is unknown");
  const cpu::Machine machine = {cpu::isa_of(instruction_set.c_str()), threads};
  cpu::Request request = {
      {steps, sequences, inputs, units, layers}, dropout, find_schedule<cpu::Schedule>(schedule, cpu::schedule_names)};
  request.bfloat16 = type == ScalarType::BFloat16 && cpu::multiplies_bfloat16(machine, request);
  std::string text;
  dispatch<OnCpu::stores_halves>(type, [&](auto of) {
    using S = decltype(of);
    text = training ? describe(cpu::plan_training<S>(machine, request), cpu::schedule_names)
                    : describe(cpu::plan_inference<S>(machine, request), cpu::schedule_names);
  });
  return text;
}

#ifdef RESBLOCK_CUDA
// What it gets on the current GPU, or on an H200 where there is none.
std::string cuda_plan(ScalarType type, int64_t steps, int64_t sequences, int64_t inputs, int64_t units, int64_t layers,
                      bool dropout, bool training, std::optional<std::string> schedule) {
  check_planned(type, {steps, sequences, inputs, units, layers});
  const cuda::Machine current = cuda::current_machine(), machine = current.multiprocessors ? current : cuda::h200;
  const cuda::Request request = {{steps, sequences, inputs, units, layers},
                                 dropout,
                                 find_schedule<cuda::Schedule>(schedule, cuda::schedule_names)};
  std::string text;
  dispatch<OnCuda::stores_halves>(type, [&](auto of) {
    using S = decltype(of);
    text = training ? describe(cuda::plan_training<S>(machine, request), cuda::schedule_names)
                    : describe(cuda::plan_inference<S>(machine, request), cuda::schedule_names);
  });
  return text;
}
#endif

}  // namespace
}  // namespace resblock

// The errors of these can come from torch.
#define RESBLOCK_BOX(function) TORCH_BOX(&resblock::Told<&resblock::function>::call)

STABLE_TORCH_LIBRARY(resblock, m) {
  const std::string tensors =
      "Tensor input, Tensor weight_ih_first, Tensor weight_ih, Tensor weight_hh, Tensor weight_peephole, Tensor bias, "
      "Tensor h_0, Tensor c_0";
  const std::string options =
      "Tensor? lengths, Tensor? batch_sizes, Tensor? order, Tensor? resets, float dropout_p, Tensor? dropout_seed, "
      "bool residual, bool output_peephole_previous, str? schedule";
  const std::string forward = "(" + tensors + ", " + options +
                              ", int checkpoint_chunks, bool full_saved, bool cells) "
                              "-> (Tensor output, Tensor h_n, Tensor c_n, Tensor? cells";
  m.def(("residual_lstm" + forward + ")").c_str());
  m.def(("residual_lstm_training" + forward + ", Tensor saved)").c_str());
  m.def(("residual_lstm_backward(Tensor grad_output, Tensor grad_h_n, Tensor grad_c_n, Tensor? grad_cells, " + tensors +
         ", " + options +
         ", Tensor saved, int wanted) -> (Tensor grad_input, Tensor grad_weight_ih_first, Tensor grad_weight_ih, "
         "Tensor grad_weight_hh, Tensor grad_weight_peephole, Tensor grad_bias, Tensor grad_h_0, Tensor grad_c_0)")
            .c_str());
  m.def(
      "residual_lstm_dropout_mask(Tensor dropout_seed, SymInt layers, SymInt steps, SymInt sequences, SymInt units, "
      "float dropout_p) -> Tensor");
  m.def("empty_block_cache() -> int");
  m.def("instruction_set() -> str");
  m.def("cpu_schedules() -> str");
  m.def("cuda_schedules() -> str");
  m.def(
      "cpu_plan(ScalarType dtype, int steps, int sequences, int inputs, int units, int layers, bool dropout, "
      "bool training, str? schedule, str instruction_set, int threads) -> str");
#ifdef RESBLOCK_CUDA
  m.def(
      "cuda_plan(ScalarType dtype, int steps, int sequences, int inputs, int units, int layers, bool dropout, "
      "bool training, str? schedule) -> str");
#endif
}

STABLE_TORCH_LIBRARY_IMPL(resblock, CompositeExplicitAutograd, m) {
  m.impl("empty_block_cache", TORCH_BOX(&resblock::empty_block_cache));
  m.impl("instruction_set", TORCH_BOX(&resblock::instruction_set));
  m.impl("cpu_schedules", TORCH_BOX(&resblock::cpu_schedules));
  m.impl("cuda_schedules", TORCH_BOX(&resblock::cuda_schedules));
  m.impl("cpu_plan", TORCH_BOX(&resblock::cpu_plan));
#ifdef RESBLOCK_CUDA
  m.impl("cuda_plan", TORCH_BOX(&resblock::cuda_plan));
#endif
}

STABLE_TORCH_LIBRARY_IMPL(resblock, CPU, m) {
  m.impl("residual_lstm", RESBLOCK_BOX(residual_lstm<resblock::OnCpu>));
  m.impl("residual_lstm_training", RESBLOCK_BOX(residual_lstm_training<resblock::OnCpu>));
  m.impl("residual_lstm_backward", RESBLOCK_BOX(residual_lstm_backward<resblock::OnCpu>));
  m.impl("residual_lstm_dropout_mask", RESBLOCK_BOX(dropout_mask));
}

#ifdef RESBLOCK_CUDA
STABLE_TORCH_LIBRARY_IMPL(resblock, CUDA, m) {
  m.impl("residual_lstm", RESBLOCK_BOX(residual_lstm<resblock::OnCuda>));
  m.impl("residual_lstm_training", RESBLOCK_BOX(residual_lstm_training<resblock::OnCuda>));
  m.impl("residual_lstm_backward", RESBLOCK_BOX(residual_lstm_backward<resblock::OnCuda>));
}
#endif
