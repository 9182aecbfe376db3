// Weights, and their gradients, in one array and in the type that is computed in.
#pragma once
#include "core/cpu/arena.h"
#include "core/cpu/bfloat16.h"
#include "core/problem.h"

namespace resblock::cpu {

// Where the parts of a layer begin. A schedule may order the values within its weights as it wants; gradients stand
// as the weights do in the problem.
struct PackedLayer {
  int64_t ih, hh, bias, peephole;  // offsets
  int64_t inputs;                  // I or H
};

// Values that a part takes: parts begin where cache lines do.
RESBLOCK_INLINE int64_t packed_part(int64_t values) {
  const int64_t line = cache_line / int64_t(sizeof(float));
  return (values + line - 1) / line * line;
}

RESBLOCK_INLINE PackedLayer packed_layer(const Sizes& s, int64_t layer) {
  const int64_t gates = gates_of_cell * s.H, square = packed_part(gates * s.H), from_inputs = packed_part(gates * s.I);
  const int64_t beside = square + packed_part(gates) + packed_part(peepholes_of_cell * s.H);
  const int64_t ih = layer ? from_inputs + beside + (layer - 1) * (square + beside) : 0;
  const int64_t hh = ih + (layer ? square : from_inputs), bias = hh + square;
  return {ih, hh, bias, bias + packed_part(gates), layer ? s.H : s.I};
}

// The same for products of bfloat16 numbers, in such numbers: of matrices alone.
RESBLOCK_INLINE PackedLayer packed_bfloat16_layer(const Sizes& s, int64_t layer) {
  const int64_t gates = gates_of_cell * s.H, first = packed_bfloat16(s.I, gates), later = packed_bfloat16(s.H, gates);
  const int64_t ih = layer ? first + later + (layer - 1) * 2 * later : 0, hh = ih + (layer ? later : first);
  return {ih, hh, hh + later, hh + later, layer ? s.H : s.I};
}

RESBLOCK_INLINE int64_t packed_size(const Sizes& s) { return packed_layer(s, s.L).ih; }

}  // namespace resblock::cpu
