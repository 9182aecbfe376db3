// The one way in which workspace is shared out.
#pragma once
#include <stdint.h>

#include "core/number.h"

namespace resblock::cpu {

// Arrays begin where cache lines do: a vector that crosses two costs two loads.
constexpr int64_t cache_line = 64;

// Hands out memory array by array; with a null base it only counts. The structs that take their arrays from one say
// with the same lines how large a workspace must be and where its parts are.
struct Arena {
  void* base;
  int64_t used = 0;  // bytes

  template <class T>
  RESBLOCK_INLINE T* take(int64_t count) {
    char* here = base ? static_cast<char*>(base) + used : nullptr;
    used += (count * int64_t(sizeof(T)) + cache_line - 1) / cache_line * cache_line;
    return reinterpret_cast<T*>(here);
  }
};

}  // namespace resblock::cpu
