// The core for pytest: numpy arrays in, numpy arrays out, on the CPU or on the CUDA kernels run on the host.
// float32, float64 and float16 are numpy's; uint16 holds the bits of bfloat16.
#include <pybind11/numpy.h>
#include <pybind11/pybind11.h>
#include <pybind11/stl.h>

#include <atomic>
#include <optional>
#include <string>
#include <thread>
#include <vector>

#include "core/cpu/dropout_mask.h"
#include "tests/cpu_call.h"
#if defined(RESBLOCK_TEST_CUDA)
#include "tests/cuda_call.h"
#include "tests/cuda_on_host.h"
#endif

namespace py = pybind11;
using namespace resblock;

namespace {

// As numpy sees the storage types.
template <class S>
struct NumpyType {
  using type = S;
};
template <>
struct NumpyType<bfloat16> {
  using type = uint16_t;
};

template <class S>
py::dtype dtype() {
  if constexpr (std::is_same_v<S, float16>)
    return py::dtype("float16");
  else
    return py::dtype::of<typename NumpyType<S>::type>();
}

void require(bool condition, const std::string& message) {
  if (!condition) throw py::value_error(message);
}

using Shape = std::vector<py::ssize_t>;

template <class S>
const S* read(const py::array& array, const char* name, const Shape& shape) {
  require(array.dtype().equal(dtype<S>()), std::string(name) + " has another dtype");
  require(Shape(array.shape(), array.shape() + array.ndim()) == shape, std::string(name) + " has another shape");
  require(array.flags() & py::array::c_style, std::string(name) + " is not contiguous");
  return static_cast<const S*>(array.data());
}

template <class S>
struct NewArray {
  py::array array;
  S* data;
  explicit NewArray(const Shape& shape) : array(dtype<S>(), shape), data(static_cast<S*>(array.mutable_data())) {
    std::fill_n(reinterpret_cast<unsigned char*>(data), array.nbytes(), 0xff);  // what stays unwritten is NaN
  }
};

struct Arguments {
  py::array input, weight_ih_first, weight_ih, weight_hh, weight_peephole, bias, h_0, c_0;
  std::optional<py::array_t<int64_t, py::array::c_style>> lengths;
  double dropout;
  uint64_t seed;
  bool residual, output_peephole_previous;
  std::string device;
  std::optional<std::string> schedule;
  int threads;
};

template <class S>
Inputs<S> inputs(const Arguments& a) {
  require(a.input.ndim() == 3 && a.h_0.ndim() == 3, "input and h_0 have three dimensions");
  const int64_t T = a.input.shape(0), B = a.input.shape(1), I = a.input.shape(2), L = a.h_0.shape(0),
                H = a.h_0.shape(2);
  require(L > 0 && H > 0, "h_0 is (L, B, H) with at least one layer and unit");
  if (a.lengths) {
    require(a.lengths->ndim() == 1 && a.lengths->shape(0) == B, "lengths is (B,)");
    for (int64_t b = 0; b < B; ++b) require(a.lengths->at(b) >= 0 && a.lengths->at(b) <= T, "lengths are in 0..T");
  }
  return {{T, B, I, H, L},
          {a.dropout, a.seed, a.residual, a.output_peephole_previous},
          read<S>(a.input, "input", {T, B, I}),
          {read<S>(a.weight_ih_first, "weight_ih_first", {4 * H, I}),
           read<S>(a.weight_ih, "weight_ih", {L - 1, 4 * H, H}), read<S>(a.weight_hh, "weight_hh", {L, 4 * H, H}),
           read<S>(a.weight_peephole, "weight_peephole", {L, 3, H}), read<S>(a.bias, "bias", {L, 4 * H})},
          read<S>(a.h_0, "h_0", {L, B, H}),
          read<S>(a.c_0, "c_0", {L, B, H}),
          a.lengths ? a.lengths->data() : nullptr};
}

void run_threads(void* context, int64_t tasks, void (*task)(const void*, int64_t), const void* argument) {
  std::atomic<int64_t> next{0};
  auto work = [&] {
    for (int64_t index = next++; index < tasks; index = next++) task(argument, index);
  };
  std::vector<std::thread> others;
  for (int k = 1; k < *static_cast<const int*>(context); ++k) others.emplace_back(work);
  work();
  for (std::thread& other : others) other.join();
}

CpuCall cpu_call(Arguments& a) {
  return {find_schedule<cpu::Schedule>(a.schedule, cpu::schedule_names), {&a.threads, a.threads, run_threads}};
}

#if defined(RESBLOCK_TEST_CUDA)
CudaCall cuda_call(const Arguments& a) { return {find_schedule<cuda::Schedule>(a.schedule, cuda::schedule_names)}; }
#endif

template <class S, template <class> class Problem>
void run(Arguments a, const Problem<S>& problem) {
#if defined(RESBLOCK_TEST_CUDA)
  if (a.device == "cuda") return cuda_call(a)(problem);
#endif
  if constexpr (std::is_same_v<S, Arithmetic<S>>)
    cpu_call(a)(problem);
  else
    throw py::value_error("the CPU's kernels take float32 and float64");
}

// Calls visit(S{}) with the storage type of the input.
template <class Visit>
py::dict with_storage_type(const Arguments& a, Visit visit) {
#if !defined(RESBLOCK_TEST_CUDA)
  require(a.device == "cpu", "built without CUDA headers: device is 'cpu'");
#endif
  require(a.device == "cpu" || a.device == "cuda", "device is 'cpu' or 'cuda'");
  const py::dtype type = a.input.dtype();
  if (type.equal(dtype<float>())) return visit(float{});
  if (type.equal(dtype<double>())) return visit(double{});
  if (type.equal(dtype<float16>())) return visit(float16{});
  if (type.equal(dtype<bfloat16>())) return visit(bfloat16{});
  throw py::value_error("input is float32, float64, float16 or uint16 (bfloat16)");
}

py::dict forward(const Arguments& a, bool needs_backward) {
  return with_storage_type(a, [&](auto storage) {
    using S = decltype(storage);
    const Inputs<S> in = inputs<S>(a);
    const Sizes& s = in.size;
    NewArray<S> output({s.T, s.B, s.H}), h_n({s.L, s.B, s.H}), c_n({s.L, s.B, s.H});
    NewArray<Arithmetic<S>> saved({needs_backward ? s.L * saved_per_layer(s) : 0});
    run(a, Forward<S>{in, output.data, h_n.data, c_n.data, needs_backward ? saved.data : nullptr});
    py::dict results;
    results["output"] = output.array;
    results["h_n"] = h_n.array;
    results["c_n"] = c_n.array;
    results["saved"] = saved.array;
    return results;
  });
}

py::dict backward(const Arguments& a, const py::array& saved, const py::array& grad_output, const py::array& grad_h_n,
                  const py::array& grad_c_n) {
  return with_storage_type(a, [&](auto storage) {
    using S = decltype(storage);
    const Inputs<S> in = inputs<S>(a);
    const Sizes& s = in.size;
    NewArray<S> input({s.T, s.B, s.I}), ih_first({4 * s.H, s.I}), ih({s.L - 1, 4 * s.H, s.H}), hh({s.L, 4 * s.H, s.H}),
        peephole({s.L, 3, s.H}), bias({s.L, 4 * s.H}), h_0({s.L, s.B, s.H}), c_0({s.L, s.B, s.H});
    run(a, Backward<S>{in,
                       read<S>(grad_output, "grad_output", {s.T, s.B, s.H}),
                       read<S>(grad_h_n, "grad_h_n", {s.L, s.B, s.H}),
                       read<S>(grad_c_n, "grad_c_n", {s.L, s.B, s.H}),
                       read<Arithmetic<S>>(saved, "saved", {s.L * saved_per_layer(s)}),
                       input.data,
                       {ih_first.data, ih.data, hh.data, peephole.data, bias.data},
                       h_0.data,
                       c_0.data});
    py::dict gradients;
    gradients["input"] = input.array;
    gradients["weight_ih_first"] = ih_first.array;
    gradients["weight_ih"] = ih.array;
    gradients["weight_hh"] = hh.array;
    gradients["weight_peephole"] = peephole.array;
    gradients["bias"] = bias.array;
    gradients["h_0"] = h_0.array;
    gradients["c_0"] = c_0.array;
    return gradients;
  });
}

py::array_t<double> dropout_mask(int64_t L, int64_t T, int64_t B, int64_t H, double p, uint64_t seed) {
  require(L > 0 && T >= 0 && B >= 0 && H > 0, "sizes are positive");
  py::array_t<double> mask({L - 1, T, B, H});
  cpu::dropout_mask({T, B, 1, H, L}, {p, seed, true, false}, mask.mutable_data());
  return mask;
}

#if defined(RESBLOCK_TEST_CUDA)
void set_schedule(const std::string& order, unsigned resident_blocks) {
  using cuda_on_host::Order;
  require(order == "ascending" || order == "descending" || order == "shuffled", "no such order");
  cuda_on_host::set_schedule({order == "ascending"    ? Order::ascending
                              : order == "descending" ? Order::descending
                                                      : Order::shuffled,
                              resident_blocks});
}
#endif

}  // namespace

PYBIND11_MODULE(resblock_core, m) {
  m.doc() = "The kernels of resblock without torch, for tests.";
  py::class_<Arguments>(m, "Problem", "What forward and backward both read; shapes as in core/problem.h.")
      .def(py::init([](py::array input, py::array weight_ih_first, py::array weight_ih, py::array weight_hh,
                       py::array weight_peephole, py::array bias, py::array h_0, py::array c_0,
                       std::optional<py::array_t<int64_t, py::array::c_style>> lengths, double dropout, uint64_t seed,
                       bool residual, bool output_peephole_previous, std::string device,
                       std::optional<std::string> schedule, int threads) {
             return Arguments{
                 input,   weight_ih_first, weight_ih, weight_hh, weight_peephole,          bias,   h_0,      c_0,
                 lengths, dropout,         seed,      residual,  output_peephole_previous, device, schedule, threads};
           }),
           py::kw_only(), py::arg("input"), py::arg("weight_ih_first"), py::arg("weight_ih"), py::arg("weight_hh"),
           py::arg("weight_peephole"), py::arg("bias"), py::arg("h_0"), py::arg("c_0"), py::arg("lengths") = py::none(),
           py::arg("dropout") = 0., py::arg("seed") = 0, py::arg("residual") = true,
           py::arg("output_peephole_previous") = false, py::arg("device") = "cpu", py::arg("schedule") = py::none(),
           py::arg("threads") = 1);
  m.def("forward", &forward, py::arg("problem"), py::arg("needs_backward") = true, "output, h_n, c_n and saved.");
  m.def("backward", &backward, py::arg("problem"), py::arg("saved"), py::arg("grad_output"), py::arg("grad_h_n"),
        py::arg("grad_c_n"), "One gradient per array of the problem, by its name.");
  m.def("dropout_mask", &dropout_mask, py::arg("layers"), py::arg("steps"), py::arg("sequences"), py::arg("units"),
        py::arg("p"), py::arg("seed"), "(L-1, T, B, H) factors of the inputs of layers 2..L.");
  m.def("instruction_set", [] { return cpu::name(cpu::processor_isa()); });
#if defined(RESBLOCK_TEST_CUDA)
  m.def("set_schedule", &set_schedule, py::arg("order"), py::arg("resident_blocks"));
  m.attr("devices") = std::vector<std::string>{"cpu", "cuda"};
#else
  m.attr("devices") = std::vector<std::string>{"cpu"};
#endif
}
