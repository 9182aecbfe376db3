// The one way in which memory is shared out among arrays: workspace and shared memory alike.
#pragma once
#include "core/number.h"

namespace resblock::cuda {

constexpr int64_t memory_boundary = 16;  // bytes: what a thread reads at once

// Hands out array by array. The structs that take their arrays from one say with the same lines how many bytes they
// want and where each array is.
struct Memory {
  char* next;  // on a boundary

  explicit RESBLOCK_INLINE Memory(void* begin) : next(static_cast<char*>(begin)) {}

  template <class V>
  RESBLOCK_INLINE V* take(int64_t count) {
    V* array = reinterpret_cast<V*>(next);
    next += (count * int64_t(sizeof(V)) + memory_boundary - 1) / memory_boundary * memory_boundary;
    return array;
  }
};

// What Layout(memory, sizes...) takes.
template <class Layout, class... Sizes>
int64_t bytes_of(const Sizes&... sizes) {
  char* const nowhere = reinterpret_cast<char*>(memory_boundary);  // nothing is read or written there
  Memory memory(nowhere);
  const Layout layout(memory, sizes...);
  static_cast<void>(layout);
  return memory.next - nowhere;
}

}  // namespace resblock::cuda
