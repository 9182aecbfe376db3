// torch's matrix product into memory that is there already, which the stable interface has no function for.
#pragma once
#include <torch/csrc/stable/stableivalue_conversions.h>

#include "arguments.h"

namespace resblock {

// to = a b.
inline void multiply_into(const Tensor& to, const Tensor& a, const Tensor& b) {
  using torch::stable::detail::from;
  std::array<StableIValue, 3> stack = {from(a), from(b), from(to)};
  STABLE_TORCH_ERROR_CODE_CHECK(torch_call_dispatcher("aten::mm", "out", stack.data(), TORCH_ABI_VERSION));
  torch::stable::detail::to<Tensor>(stack[0]);  // takes the handle, and frees it
}

}  // namespace resblock
