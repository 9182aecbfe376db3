// The mask that the kernels of every device draw for themselves, for whoever wants to redo their work step by step.
#pragma once
#include "core/problem.h"

namespace resblock::cpu {

// (L-1, T, B, H): the factors by which dropout multiplies the inputs of layers 2..L.
void dropout_mask(const Sizes& size, const Options& options, double* mask);

}  // namespace resblock::cpu
