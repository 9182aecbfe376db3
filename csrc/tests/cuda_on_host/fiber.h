// A function with a stack of its own, which can be left in the middle and resumed.
#pragma once
#include <stddef.h>

namespace cuda_on_host {

class Fiber {
 public:
  Fiber();
  ~Fiber();
  Fiber(const Fiber&) = delete;
  Fiber& operator=(const Fiber&) = delete;

  // Forgets what it was doing, if anything, and prepares body(argument).
  void prepare(void (*body)(void*), void* argument);

  void resume();   // by the scheduler: runs until the fiber suspends or its body returns
  void suspend();  // by the fiber

  // Does act(argument), for ThreadSanitizer as if the fiber did it.
  void in_its_name(void (*act)(void*), void* argument);

 private:
  using Place = void* [5];  // in a program, as __builtin_setjmp notes it: swapcontext would be two system calls

  static void enter(unsigned low, unsigned high);
  [[noreturn]] void work();

  Place place_, scheduler_;
  enum class At { nowhere, rest, work } at_ = At::nowhere;
  void (*body_)(void*) = nullptr;
  void* argument_ = nullptr;
  void* stack_;
  void *sanitizer_fiber_, *sanitizer_scheduler_ = nullptr;        // ThreadSanitizer's names for both sides
  void *fake_stack_ = nullptr, *fake_scheduler_stack_ = nullptr;  // AddressSanitizer's
  const void* scheduler_stack_ = nullptr;
  size_t scheduler_bytes_ = 0;
};

}  // namespace cuda_on_host
