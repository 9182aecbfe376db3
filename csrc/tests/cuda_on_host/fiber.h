// A function with a stack of its own, which can be left in the middle and resumed.
#pragma once
#include <stddef.h>
#include <ucontext.h>

namespace cuda_on_host {

class Fiber {
 public:
  Fiber();
  ~Fiber();
  Fiber(const Fiber&) = delete;
  Fiber& operator=(const Fiber&) = delete;

  // Forgets what it was doing, if anything, and prepares body(argument). The body may not return: its last act is
  // leave().
  void prepare(void (*body)(void*), void* argument);

  void resume();              // by the scheduler: runs until the fiber suspends or leaves
  void suspend();             // by the fiber
  [[noreturn]] void leave();  // by the fiber

 private:
  static void enter(unsigned low, unsigned high);
  void switch_to_scheduler(bool last);

  ucontext_t context_, scheduler_;
  void (*body_)(void*) = nullptr;
  void* argument_ = nullptr;
  void* stack_;
  void *sanitizer_fiber_, *sanitizer_scheduler_ = nullptr;        // ThreadSanitizer's names for both sides
  void *fake_stack_ = nullptr, *fake_scheduler_stack_ = nullptr;  // AddressSanitizer's
  const void* scheduler_stack_ = nullptr;
  size_t scheduler_bytes_ = 0;
};

}  // namespace cuda_on_host
