// What the operators ask of tensors through torch's stable interface, and refuse in any of them.
#pragma once
#include <torch/csrc/stable/ops.h>
#include <torch/csrc/stable/stableivalue_conversions.h>
#include <torch/csrc/stable/tensor.h>
#include <torch/headeronly/core/ScalarType.h>

#include <algorithm>
#include <optional>
#include <string>
#include <vector>

#include "core/problem.h"
#include "require.h"

namespace resblock {

using torch::headeronly::ScalarType;
using torch::stable::Tensor;
using Shape = std::vector<int64_t>;

inline std::string text(const Shape& shape) {
  std::string out = "(";
  for (size_t k = 0; k < shape.size(); ++k) out += (k ? ", " : "") + std::to_string(shape[k]);
  return out + (shape.size() == 1 ? ",)" : ")");
}

inline Shape shape_of(const Tensor& t) {
  const auto sizes = t.sizes();
  return {sizes.begin(), sizes.end()};
}

// Torch's own goes through the dispatcher even where there is nothing to do, which small networks would notice.
inline Tensor made_contiguous(const Tensor& t) { return t.is_contiguous() ? t : torch::stable::contiguous(t); }

inline Shape dense_strides(const Shape& shape) {
  Shape strides(shape.size(), 1);
  for (size_t d = shape.size(); d-- > 1;) strides[d - 1] = strides[d] * std::max<int64_t>(shape[d], 1);
  return strides;
}

// Whether one zero stands for all places, as in zeros(()).expand(shape): large zeros cost more to lay out and read than
// the kernels take. A GPU's values stay unread: looking at them would wait for the device.
inline bool is_one_zero(const Tensor& t) {
  if (!t.is_cpu() || t.numel() < 2) return false;
  for (const int64_t stride : t.strides())
    if (stride) return false;
  const auto* bytes = static_cast<const char*>(t.const_data_ptr());
  return std::all_of(bytes, bytes + t.element_size(), [](char byte) { return byte == 0; });
}

// A tensor in another type: itself where it has that type.
inline Tensor converted(const Tensor& t, ScalarType type) {
  return t.scalar_type() == type ? t : torch::stable::to(t, type);
}

inline std::optional<Tensor> converted_if_any(const std::optional<Tensor>& t, ScalarType type) {
  return t ? std::optional<Tensor>(converted(*t, type)) : std::nullopt;
}

// Sizes count elements and bytes in 64 bits, also those of tensors that are expanded views of a few numbers.
inline void check_sizes(const Sizes& s) {
  for (const int64_t size : {s.T, s.B, s.I, s.H, s.L})
    RESBLOCK_REQUIRE(size >= 0, "residual_lstm: a size is ", size, ", expected none below zero");
  const double H = double(s.H), L = double(s.L), rows = double(s.T) * double(s.B);
  const double numbers = rows * (double(s.I) + saved_of_cell * L * H) + 4 * L * H * (double(s.I) + H + double(s.B));
  RESBLOCK_REQUIRE(numbers * sizeof(double) < double(int64_t(1) << 60), "residual_lstm: time ", s.T, ", batch ", s.B,
                   ", features ", s.I, ", units ", s.H, " and layers ", s.L, " make arrays of more than 2^60 bytes");
}

// A seed or length tensor, or one of parameters that a framework has freed (FSDP), may be smaller than its shape says.
inline void check_storage(const char* name, const Tensor& t) {
  int64_t end = t.storage_offset() + 1, bytes;
  for (int64_t d = 0; d < t.dim(); ++d) {
    if (t.size(d) == 0) return;
    end += (t.size(d) - 1) * t.stride(d);
  }
  aoti_torch_get_storage_size(t.get(), &bytes);
  RESBLOCK_REQUIRE(end * int64_t(t.element_size()) <= bytes, "residual_lstm: ", name, " of shape ", text(shape_of(t)),
                   " has a storage of ", bytes, " bytes, which is too small; was it freed?");
}

// The key of the dropout mask.
inline void check_seed(const Tensor& seed) {
  RESBLOCK_REQUIRE(seed.scalar_type() == ScalarType::Long && seed.numel() == 1,
                   "residual_lstm: dropout_seed must be one int64, got ",
                   torch::headeronly::toString(seed.scalar_type()), " of shape ", text(shape_of(seed)));
  check_storage("dropout_seed", seed);
}

inline void check_probability(double dropout_p) {
  RESBLOCK_REQUIRE(dropout_p >= 0 && dropout_p <= 1, "residual_lstm: dropout_p is ", dropout_p, ", expected 0 to 1");
}

inline Tensor converted_state(const Tensor& t, ScalarType type) { return is_one_zero(t) ? t : converted(t, type); }

inline bool is_floating(ScalarType type) {
  return type == ScalarType::Float || type == ScalarType::Double || type == ScalarType::BFloat16 ||
         type == ScalarType::Half;
}

}  // namespace resblock
