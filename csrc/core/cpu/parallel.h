// How a schedule spreads independent tasks over threads.
#pragma once
#include <stdint.h>

namespace resblock::cpu {

// Which thread runs which task never changes a result.
struct Parallel {
  void* context;
  int64_t threads;
  void (*run)(void* context, int64_t tasks, void (*task)(const void* argument, int64_t index), const void* argument);
};

// Runs the tasks one after the other on the calling thread.
extern const Parallel serial;

}  // namespace resblock::cpu
