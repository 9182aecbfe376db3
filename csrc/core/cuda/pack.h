// The kernels that pack weights, and that unpack their gradients (packed.h).
#pragma once
#include "core/cuda/context.h"
#include "core/cuda/packed.h"

namespace resblock::cuda {

// Also clears `flags`, for kernels that count their progress in them.
template <int G>
const char* pack(const Inputs<AnyFloat>& p, FloatType type, const Packed<G>& packed, const Context& context,
                 int* flags = nullptr, int64_t flag_count = 0);

// The gradients of the weights: the sum over `parts`, which lie one after the other, in this order.
template <int G>
const char* unpack(const AnyBackward& p, const Packed<G>& parts, int64_t count, const Context& context);

}  // namespace resblock::cuda
