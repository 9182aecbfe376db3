// The CPU entry points: they choose an instruction set and a schedule by size.
#pragma once
#include "core/problem.h"

namespace resblock::cpu {

// How a schedule spreads independent tasks over threads. Which thread runs which task never changes a result.
struct Parallel {
  void* context;
  int64_t threads;
  void (*run)(void* context, int64_t tasks, void (*task)(const void* argument, int64_t index), const void* argument);
};

// Runs the tasks one after the other on the calling thread.
extern const Parallel serial;

// Both throw std::bad_alloc if their workspace cannot be had. T = 0 and B = 0 are allowed.
template <class S>
void forward(const Forward<S>& problem, const Parallel& parallel);
template <class S>
void backward(const Backward<S>& problem, const Parallel& parallel);

// (L-1, T, B, H): the factors by which dropout multiplies the inputs of layers 2..L.
void dropout_mask(const Sizes& size, const Options& options, double* mask);

// "x86-64", "x86-64-v3", "x86-64-v4" or "portable": what the processor has, or less if RESBLOCK_ISA says so.
const char* instruction_set();

// The schedules that forward and backward choose from by size, or RESBLOCK_SCHEDULE for them.
const char* schedules();

}  // namespace resblock::cpu
