// Runs the threads of CUDA blocks as fibers, one at a time, on the calling thread.
//
// This file and its implementation are not instrumented by ThreadSanitizer: what the threads of a kernel share
// through the runtime is invisible to it, and only what CUDA promises to be ordered is declared as ordered.
#pragma once
#include <stdint.h>
#include <vector_types.h>

#include <functional>
#include <stdexcept>
#include <string>

// Where the running thread stands.
extern uint3 threadIdx, blockIdx;
extern dim3 blockDim, gridDim;

namespace cuda_on_host {

// The order in which the threads that can run are run, and how many blocks of an ordinary launch are alive together.
// A correct kernel gives the same result with all of them.
enum class Order { ascending, descending, shuffled };
struct Schedule {
  Order order = Order::ascending;
  unsigned resident_blocks = 1;
};
void set_schedule(Schedule schedule);

// The program can never finish, or broke a rule of CUDA; the message says who waits for what.
struct KernelError : std::logic_error {
  using std::logic_error::logic_error;
};

struct Launch {
  dim3 grid, block;
  size_t shared_bytes;
  bool cooperative;  // all blocks are alive together
};

// Runs body() once in every thread of the launch.
void run(const Launch& launch, const std::function<void()>& body);

unsigned lane();
void* shared_memory();  // of the block: `shared_bytes` from Launch, filled with 0xff at the start, as is NaN

// Barriers, which order memory.
void block_barrier();
void warp_barrier(unsigned lanes);

// Exchange between the lanes of a warp that are named in `lanes`, which does not: what each of them brings to a
// meeting, by lane, until the next one.
struct Brought {
  uint64_t words[3];
};
const Brought* meet(unsigned lanes, const Brought& mine);
uint64_t shuffle(unsigned lanes, uint64_t value, unsigned source_lane);
unsigned ballot(unsigned lanes, bool vote);

// Flags between blocks. A thread that has polled in vain sleeps until some flag is stored.
void before_poll();
void after_store();
void sleep_until_store();

}  // namespace cuda_on_host
