// The operators' arguments as the kernels take them: checked, contiguous, and behind plain pointers.
#pragma once
#include <torch/csrc/stable/library.h>

#include <array>
#include <memory>
#include <optional>

#include "core/cpu/block_cache.h"
#include "core/cpu/pieces.h"
#include "core/plan.h"
#include "tensors.h"

namespace resblock {

// The arguments that forward and backward share, checked and made contiguous, but for states of one zero.
struct Arguments {
  Tensor input, weight_ih_first, weight_ih, weight_hh, weight_peephole, bias, h_0, c_0;
  std::optional<Tensor> lengths, batch_sizes, order, resets, dropout_seed;
  std::optional<std::string> schedule;
  Sizes size;
  Options options;
  std::shared_ptr<const cpu::LongestFirst> ragged;  // where, on a CPU, some sequence ends early, or rows are packed
  std::shared_ptr<const cpu::ResetPieces> pieces;   // where, on a CPU, some sequence begins anew
  bool wants_cells = false;                         // from the forward pass

  void check(const char* name, const Tensor& t, const Shape& shape) const {
    RESBLOCK_REQUIRE(shape_of(t) == shape, "residual_lstm: ", name, " has shape ", text(shape_of(t)), ", expected ",
                     text(shape));
    RESBLOCK_REQUIRE(t.scalar_type() == input.scalar_type(), "residual_lstm: ", name, " is ",
                     torch::headeronly::toString(t.scalar_type()), " but input is ",
                     torch::headeronly::toString(input.scalar_type()), "; all floating arguments must share one dtype");
    RESBLOCK_REQUIRE(is_beside_input(t), "residual_lstm: ", name, " and input are on different devices");
    check_storage(name, t);
  }
  bool is_beside_input(const Tensor& t) const {
    return t.is_cuda() == input.is_cuda() && t.get_device_index() == input.get_device_index();
  }
  Tensor checked(const char* name, const Tensor& t, const Shape& shape) const {
    check(name, t, shape);
    return made_contiguous(t);
  }
  Tensor checked_state(const char* name, const Tensor& t) const {
    check(name, t, {size.L, size.B, size.H});
    return is_one_zero(t) ? t : made_contiguous(t);
  }

  void check_shapes() {
    const ScalarType type = input.scalar_type();
    RESBLOCK_REQUIRE(is_floating(type), "residual_lstm: input is ", torch::headeronly::toString(type),
                     ", expected float32, float64, bfloat16 or float16");
    RESBLOCK_REQUIRE(
        input.dim() == (batch_sizes ? 2 : 3), "residual_lstm: input has shape ", text(shape_of(input)),
        batch_sizes ? ", expected (rows, features), as batch_sizes were given" : ", expected (time, batch, features)");
    RESBLOCK_REQUIRE(weight_hh.dim() == 3 && weight_hh.size(0) > 0 && weight_hh.size(2) > 0,
                     "residual_lstm: weight_hh has shape ", text(shape_of(weight_hh)),
                     ", expected (layers, 4 * hidden, hidden) with at least one layer and one unit");
    size = {0, 0, input.size(input.dim() - 1), weight_hh.size(2), weight_hh.size(0)};
    if (batch_sizes) {
      RESBLOCK_REQUIRE(h_0.dim() == 3, "residual_lstm: h_0 has shape ", text(shape_of(h_0)),
                       ", expected (layers, batch, hidden)");
      RESBLOCK_REQUIRE(batch_sizes->dim() == 1, "residual_lstm: batch_sizes has shape ", text(shape_of(*batch_sizes)),
                       ", expected (time,)");
      size.T = batch_sizes->size(0);
      size.B = h_0.size(1);
    } else {
      size.T = input.size(0);
      size.B = input.size(1);
    }
    resblock::check_sizes(size);
    check_storage("input", input);
  }

  void check_tensors() {
    const auto [T, B, I, H, L] = size;
    weight_ih_first = checked("weight_ih_first", weight_ih_first, {4 * H, I});
    weight_ih = checked("weight_ih", weight_ih, {L - 1, 4 * H, H});
    weight_hh = checked("weight_hh", weight_hh, {L, 4 * H, H});
    weight_peephole = checked("weight_peephole", weight_peephole, {L, 3, H});
    bias = checked("bias", bias, {L, 4 * H});
    h_0 = checked_state("h_0", h_0);
    c_0 = checked_state("c_0", c_0);
    input = made_contiguous(input);
  }

  // On a GPU the values stay unread: looking at them would wait for the device.
  void check_lengths() {
    if (!lengths) return;
    RESBLOCK_REQUIRE(lengths->scalar_type() == ScalarType::Long && shape_of(*lengths) == Shape{size.B},
                     "residual_lstm: lengths must be int64 of shape ", text({size.B}), ", got ",
                     torch::headeronly::toString(lengths->scalar_type()), " of shape ", text(shape_of(*lengths)));
    RESBLOCK_REQUIRE(is_beside_input(*lengths), "residual_lstm: lengths and input are on different devices");
    check_storage("lengths", *lengths);
    lengths = made_contiguous(*lengths);
    if (lengths->is_cuda()) return;
    const int64_t* length = lengths->const_data_ptr<int64_t>();
    for (int64_t b = 0; b < size.B; ++b)
      RESBLOCK_REQUIRE(length[b] >= 0 && length[b] <= size.T, "residual_lstm: lengths[", b, "] is ", length[b],
                       ", expected 0 to ", size.T, " (the number of time steps)");
  }

  // Numbers on the CPU, as a PackedSequence has them.
  const int64_t* checked_numbers(const char* name, std::optional<Tensor>& numbers, int64_t count) {
    RESBLOCK_REQUIRE(
        numbers->scalar_type() == ScalarType::Long && shape_of(*numbers) == Shape{count} && numbers->is_cpu(),
        "residual_lstm: ", name, " must be int64 of shape ", text({count}), " on the CPU, got ",
        torch::headeronly::toString(numbers->scalar_type()), " of shape ", text(shape_of(*numbers)));
    check_storage(name, *numbers);
    numbers = made_contiguous(*numbers);
    return numbers->const_data_ptr<int64_t>();
  }

  void check_packed() {
    RESBLOCK_REQUIRE(batch_sizes || !order, "residual_lstm: order was given without batch_sizes");
    if (!batch_sizes) return;
    RESBLOCK_REQUIRE(!lengths, "residual_lstm: lengths were given with batch_sizes, which say them");
    RESBLOCK_REQUIRE(input.is_cpu(), "residual_lstm: packed rows are for the CPU, expected (time, batch, features)");
    const int64_t* running = checked_numbers("batch_sizes", batch_sizes, size.T);
    int64_t rows = 0;
    for (int64_t t = 0; t < size.T; ++t) {
      const int64_t most = t ? running[t - 1] : size.B;
      RESBLOCK_REQUIRE(running[t] >= 0 && running[t] <= most, "residual_lstm: batch_sizes[", t, "] is ", running[t],
                       ", expected 0 to ", most, t ? " (as many as the step before)" : " (the number of sequences)");
      rows += running[t];
    }
    RESBLOCK_REQUIRE(rows == input.size(0), "residual_lstm: batch_sizes add up to ", rows, " but input has ",
                     input.size(0), " rows");
    if (!order) return;
    const int64_t* sequence = checked_numbers("order", order, size.B);
    std::vector<bool> seen(size_t(size.B), false);
    for (int64_t place = 0; place < size.B; ++place) {
      RESBLOCK_REQUIRE(sequence[place] >= 0 && sequence[place] < size.B && !seen[size_t(sequence[place])],
                       "residual_lstm: order[", place, "] is ", sequence[place], ", expected each number from 0 to ",
                       size.B - 1, " once");
      seen[size_t(sequence[place])] = true;
    }
  }

  void check_resets() {
    if (!resets) return;
    const Shape shape = batch_sizes ? Shape{input.size(0)} : Shape{size.T, size.B};
    RESBLOCK_REQUIRE(resets->scalar_type() == ScalarType::Bool && shape_of(*resets) == shape,
                     "residual_lstm: resets must be bool of shape ", text(shape), ", got ",
                     torch::headeronly::toString(resets->scalar_type()), " of shape ", text(shape_of(*resets)));
    RESBLOCK_REQUIRE(is_beside_input(*resets), "residual_lstm: resets and input are on different devices");
    check_storage("resets", *resets);
    resets = made_contiguous(*resets);
  }

  void check_options(double dropout_p, bool residual, bool output_peephole_previous) {
    check_probability(dropout_p);
    uint64_t seed = 0;
    if (dropout_p > 0) {
      RESBLOCK_REQUIRE(dropout_seed.has_value(), "residual_lstm: dropout_p is ", dropout_p,
                       " but no dropout_seed was given");
      check_seed(*dropout_seed);
      RESBLOCK_REQUIRE(dropout_seed->is_cpu() || is_beside_input(*dropout_seed),
                       "residual_lstm: dropout_seed is on another device than input, expected that one or the CPU");
      // On a GPU the kernels read it.
      if (dropout_seed->is_cpu()) seed = uint64_t(*dropout_seed->const_data_ptr<int64_t>());
    }
    options = {dropout_p, seed, residual, output_peephole_previous};
  }

  void order_sequences() {
    if (batch_sizes) {
      ragged = std::make_shared<const cpu::LongestFirst>(cpu::LongestFirst::of_packed(
          batch_sizes->const_data_ptr<int64_t>(), size.T, order ? order->const_data_ptr<int64_t>() : nullptr, size.B));
    } else if (lengths && !lengths->is_cuda()) {
      const int64_t* length = lengths->const_data_ptr<int64_t>();
      if (std::any_of(length, length + size.B, [&](int64_t steps) { return steps < size.T; }))
        ragged = std::make_shared<const cpu::LongestFirst>(cpu::LongestFirst::of_lengths(length, size.B, 0, size.T));
    }
  }

  // On a CPU; a GPU's kernels read the flags.
  void cut_sequences() {
    pieces = nullptr;
    if (!resets || !input.is_cpu()) return;
    const auto all = std::make_shared<const cpu::ResetPieces>(steps(), resets->const_data_ptr<bool>());
    if (all->any()) pieces = all;
  }

  // The problem as far as its sizes go.
  Inputs<float> steps() const {
    Inputs<float> p = {size, options, nullptr, {}, nullptr, nullptr, nullptr};
    if (ragged) ragged->apply(p);
    p.packed = batch_sizes.has_value();
    return p;
  }

  const int64_t* lengths_in_order() const {
    if (!lengths || !lengths->is_cuda()) return ragged ? ragged->lengths() : nullptr;
    return lengths->const_data_ptr<int64_t>();
  }

  Arguments(Tensor input, Tensor weight_ih_first, Tensor weight_ih, Tensor weight_hh, Tensor weight_peephole,
            Tensor bias, Tensor h_0, Tensor c_0, std::optional<Tensor> lengths, std::optional<Tensor> batch_sizes,
            std::optional<Tensor> order, std::optional<Tensor> resets, double dropout_p,
            std::optional<Tensor> dropout_seed, bool residual, bool output_peephole_previous,
            std::optional<std::string> schedule)
      : input(input),
        weight_ih_first(weight_ih_first),
        weight_ih(weight_ih),
        weight_hh(weight_hh),
        weight_peephole(weight_peephole),
        bias(bias),
        h_0(h_0),
        c_0(c_0),
        lengths(lengths),
        batch_sizes(batch_sizes),
        order(order),
        resets(resets),
        dropout_seed(dropout_seed),
        schedule(schedule) {
    check_shapes();
    check_tensors();
    check_lengths();
    check_packed();
    check_resets();
    check_options(dropout_p, residual, output_peephole_previous);
    order_sequences();
    cut_sequences();
  }

  // Of inputs and outputs with so many features.
  Shape shape_over_time(int64_t features) const {
    return batch_sizes ? Shape{input.size(0), features} : Shape{size.T, size.B, features};
  }
  // Of c of every step.
  Shape cells_shape() const {
    return batch_sizes ? Shape{size.L, input.size(0), size.H} : Shape{size.L, size.T, size.B, size.H};
  }

  // Memory on the input's device. What is large on a CPU comes from the block cache, and is given back when the tensor
  // ends.
  Tensor empty(const Shape& shape, ScalarType type) const {
    const Shape strides = dense_strides(shape);
    const auto dtype = torch::stable::detail::to<int32_t>(torch::stable::detail::from(type));
    const size_t bytes = size_t(shape[0] * strides[0]) * aoti_torch_dtype_element_size(dtype);
    if (input.is_cpu() && cpu::wants_huge_pages(bytes)) {
      const cpu::BlockCache::Block block = with_memory_for("results or saved activations", int64_t(bytes),
                                                           [&] { return cpu::block_cache().take(bytes); });
      return torch::stable::from_blob(block.data, shape, strides, input.device(), type,
                                      [block](void*) { cpu::block_cache().give_back(block); });
    }
    int32_t device;
    STABLE_TORCH_ERROR_CODE_CHECK(aoti_torch_get_device_type(input.get(), &device));
    AtenTensorHandle handle;
    STABLE_TORCH_ERROR_CODE_CHECK(aoti_torch_empty_strided(int64_t(shape.size()), shape.data(), strides.data(), dtype,
                                                           device, input.get_device_index(), &handle));
    return Tensor(handle);
  }
  Tensor empty(const Shape& shape) const { return empty(shape, input.scalar_type()); }

  template <class Schedule, size_t count>
  Request<Schedule> request(const char* const (&schedule_names)[count]) const {
    return {pieces ? pieces->size_of(size) : size,
            options.dropout > 0,
            find_schedule<Schedule>(schedule, schedule_names),
            pieces ? pieces->lengths() : lengths_in_order(),
            options.first_step,
            has_matrices_in_bfloat16(),
            pieces != nullptr,
            wants_cells};
  }

  ScalarType arithmetic_type() const {
    return input.scalar_type() == ScalarType::Double ? ScalarType::Double : ScalarType::Float;
  }

  // Whether the matrices of weights were left so when all else was converted.
  bool has_matrices_in_bfloat16() const { return weight_hh.scalar_type() != bias.scalar_type(); }

  void convert_weights_and_states(ScalarType type, bool matrices) {
    for (Tensor* t : {&weight_peephole, &bias}) *t = converted(*t, type);
    for (Tensor* t : {&weight_ih_first, &weight_ih, &weight_hh})
      if (matrices) *t = converted(*t, type);
    for (Tensor* t : {&h_0, &c_0}) *t = converted_state(*t, type);
  }
};

template <class S>
const S* read(const Tensor& t) {
  return static_cast<const S*>(t.const_data_ptr());
}

// States, or their gradients; null for zeros that are laid out nowhere.
template <class S>
const S* read_state(const Tensor& t) {
  return is_one_zero(t) ? nullptr : read<S>(t);
}

template <class S>
S* write(const Tensor& t) {
  return static_cast<S*>(t.mutable_data_ptr());
}

template <class S>
S* write_if_any(const Tensor& t) {
  return t.numel() ? write<S>(t) : nullptr;
}

template <class S>
Inputs<S> inputs(const Arguments& a) {
  const bool rounded = a.has_matrices_in_bfloat16();
  const auto matrices = [&](auto of, bool given) {
    using T = decltype(of);
    if (!given) return Weights<const T>{};
    return Weights<const T>{read<T>(a.weight_ih_first), read<T>(a.weight_ih), read<T>(a.weight_hh), nullptr, nullptr};
  };
  Inputs<S> p = {a.size,
                 a.options,
                 read<S>(a.input),
                 matrices(S(), !rounded),
                 read_state<S>(a.h_0),
                 read_state<S>(a.c_0),
                 a.lengths_in_order(),
                 matrices(bfloat16(), rounded)};
  p.weights.peephole = read<S>(a.weight_peephole);
  p.weights.bias = read<S>(a.bias);
  if (a.ragged) a.ragged->apply(p);
  p.packed = a.batch_sizes.has_value();
  if (a.pieces) a.pieces->apply(p);
  if (a.resets && a.input.is_cuda()) p.resets = read<bool>(*a.resets);
  return p;
}

// Calls body with a value of the storage type, which is one of the half types only where `stores_halves`.
template <bool stores_halves, class Body>
void dispatch(ScalarType type, const Body& body) {
  if (type == ScalarType::Double) return body(double());
  if constexpr (stores_halves) {
    if (type == ScalarType::BFloat16) return body(bfloat16());
    if (type == ScalarType::Half) return body(float16());
  }
  return body(float());
}

}  // namespace resblock
