// The sanitizers are told of every switch: AddressSanitizer must know which stack is in use, and ThreadSanitizer
// takes every fiber for a thread of its own. A switch orders nothing for it; only the runtime's barriers do.
#include "tests/cuda_on_host/fiber.h"

#include <stdint.h>
#include <sys/mman.h>
#include <ucontext.h>

#include <new>

#if defined(RESBLOCK_ADDRESS_SANITIZER)
#include <sanitizer/common_interface_defs.h>
#endif
#if defined(RESBLOCK_THREAD_SANITIZER)
#include <sanitizer/tsan_interface.h>
#endif

namespace cuda_on_host {
namespace {

constexpr size_t stack_bytes = 128 * 1024;

#if defined(RESBLOCK_THREAD_SANITIZER)
constexpr unsigned without_synchronisation = 1;
void* create_sanitizer_fiber() { return __tsan_create_fiber(0); }
void destroy_sanitizer_fiber(void* fiber) { __tsan_destroy_fiber(fiber); }
void* current_sanitizer_fiber() { return __tsan_get_current_fiber(); }
void switch_sanitizer_fiber(void* to) { __tsan_switch_to_fiber(to, without_synchronisation); }
#else
void* create_sanitizer_fiber() { return nullptr; }
void destroy_sanitizer_fiber(void*) {}
void* current_sanitizer_fiber() { return nullptr; }
void switch_sanitizer_fiber(void*) {}
#endif

#if defined(RESBLOCK_ADDRESS_SANITIZER)
void start_switch(void** fake_stack, const void* stack, size_t bytes) {
  __sanitizer_start_switch_fiber(fake_stack, stack, bytes);
}
void finish_switch(void* fake_stack, const void** from, size_t* bytes) {
  __sanitizer_finish_switch_fiber(fake_stack, from, bytes);
}
#else
void start_switch(void**, const void*, size_t) {}
void finish_switch(void*, const void**, size_t*) {}
#endif

// AddressSanitizer would take these for the end of a stack, and clean it.
#define RESBLOCK_SWITCHES __attribute__((noinline, no_sanitize_address))

[[noreturn]] RESBLOCK_SWITCHES void go(void** to) { __builtin_longjmp(to, 1); }

// Goes on at `to`, until somebody comes back to `from`.
RESBLOCK_SWITCHES void jump(void** from, void** to) {
  if (!__builtin_setjmp(from)) go(to);
}

// Goes on at the beginning of body(argument), on a stack of its own.
RESBLOCK_SWITCHES void start(void** from, void* stack, void (*body)(), void* argument) {
  ucontext_t context;
  getcontext(&context);
  context.uc_stack.ss_sp = stack;
  context.uc_stack.ss_size = stack_bytes;
  context.uc_link = nullptr;
  const uintptr_t self = reinterpret_cast<uintptr_t>(argument);  // makecontext passes ints only
  makecontext(&context, body, 2, unsigned(self), unsigned(uint64_t(self) >> 32));
  if (!__builtin_setjmp(from)) setcontext(&context);
}

}  // namespace

Fiber::Fiber()
    : stack_(mmap(nullptr, stack_bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0)),
      sanitizer_fiber_(create_sanitizer_fiber()) {
  if (stack_ == MAP_FAILED) throw std::bad_alloc();
}

Fiber::~Fiber() {
  destroy_sanitizer_fiber(sanitizer_fiber_);
  munmap(stack_, stack_bytes);
}

// A fiber whose body has returned rests where it can be sent to the next one.
void Fiber::prepare(void (*body)(void*), void* argument) {
  body_ = body;
  argument_ = argument;
  if (at_ == At::work) at_ = At::nowhere;  // it will never be taken up again
}

void Fiber::enter(unsigned low, unsigned high) {
  reinterpret_cast<Fiber*>(uintptr_t(low) | uintptr_t(uint64_t(high) << 32))->work();
}

void Fiber::work() {
  finish_switch(nullptr, &scheduler_stack_, &scheduler_bytes_);
  for (;;) {
    at_ = At::work;
    body_(argument_);
    at_ = At::rest;
    suspend();
  }
}

void Fiber::resume() {
  sanitizer_scheduler_ = current_sanitizer_fiber();
  start_switch(&fake_scheduler_stack_, stack_, stack_bytes);
  switch_sanitizer_fiber(sanitizer_fiber_);
  if (at_ == At::nowhere)
    start(scheduler_, stack_, reinterpret_cast<void (*)()>(enter), this);
  else
    jump(scheduler_, place_);
  finish_switch(fake_scheduler_stack_, nullptr, nullptr);
}

void Fiber::in_its_name(void (*act)(void*), void* argument) {
  void* const me = current_sanitizer_fiber();
  switch_sanitizer_fiber(sanitizer_fiber_);
  act(argument);
  switch_sanitizer_fiber(me);
}

void Fiber::suspend() {
  start_switch(&fake_stack_, scheduler_stack_, scheduler_bytes_);
  switch_sanitizer_fiber(sanitizer_scheduler_);
  jump(place_, scheduler_);
  finish_switch(fake_stack_, &scheduler_stack_, &scheduler_bytes_);
}

}  // namespace cuda_on_host
