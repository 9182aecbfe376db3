// The general schedule: takes every size and type.
#pragma once
#include "core/cuda/launch.h"

namespace resblock::cuda {

template <class S>
struct GeneralForward {
  static size_t workspace(const Forward<S>& p);
  static const char* launch(const Forward<S>& p, const Context& context, void* workspace);
};

template <class S>
struct GeneralBackward {
  static size_t workspace(const Backward<S>& p);
  static const char* launch(const Backward<S>& p, const Context& context, void* workspace);
};

}  // namespace resblock::cuda
