// The sanitizers are told of every switch: AddressSanitizer must know which stack is in use, and ThreadSanitizer
// takes every fiber for a thread of its own. A switch orders nothing for it; only the runtime's barriers do.
#include "tests/cuda_on_host/fiber.h"

#include <stdint.h>
#include <stdlib.h>
#include <sys/mman.h>

#include <new>

#if defined(__SANITIZE_ADDRESS__)
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

#if defined(__SANITIZE_ADDRESS__)
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

void Fiber::prepare(void (*body)(void*), void* argument) {
  body_ = body;
  argument_ = argument;
  getcontext(&context_);
  context_.uc_stack.ss_sp = stack_;
  context_.uc_stack.ss_size = stack_bytes;
  context_.uc_link = nullptr;
  const uintptr_t self = reinterpret_cast<uintptr_t>(this);  // makecontext passes ints only
  makecontext(&context_, reinterpret_cast<void (*)()>(enter), 2, unsigned(self), unsigned(uint64_t(self) >> 32));
}

void Fiber::enter(unsigned low, unsigned high) {
  Fiber* self = reinterpret_cast<Fiber*>(uintptr_t(low) | uintptr_t(uint64_t(high) << 32));
  finish_switch(nullptr, &self->scheduler_stack_, &self->scheduler_bytes_);
  self->body_(self->argument_);
  abort();
}

void Fiber::resume() {
  sanitizer_scheduler_ = current_sanitizer_fiber();
  start_switch(&fake_scheduler_stack_, stack_, stack_bytes);
  switch_sanitizer_fiber(sanitizer_fiber_);
  swapcontext(&scheduler_, &context_);
  finish_switch(fake_scheduler_stack_, nullptr, nullptr);
}

void Fiber::switch_to_scheduler(bool last) {
  start_switch(last ? nullptr : &fake_stack_, scheduler_stack_, scheduler_bytes_);
  switch_sanitizer_fiber(sanitizer_scheduler_);
  swapcontext(&context_, &scheduler_);
}

void Fiber::suspend() {
  switch_to_scheduler(false);
  finish_switch(fake_stack_, &scheduler_stack_, &scheduler_bytes_);
}

void Fiber::leave() {
  switch_to_scheduler(true);
  abort();
}

}  // namespace cuda_on_host
