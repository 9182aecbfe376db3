#include "tests/cuda_on_host/scheduler.h"

#include <stdlib.h>
#include <string.h>

#include <algorithm>
#include <memory>
#include <numeric>
#include <vector>

#include "tests/cuda_on_host/fiber.h"
#if defined(RESBLOCK_THREAD_SANITIZER)
#include <sanitizer/tsan_interface.h>
#endif

uint3 threadIdx, blockIdx;
dim3 blockDim, gridDim;

namespace cuda_on_host {
namespace {

constexpr unsigned warp_size = 32;

// "What was done before release(p) is seen after acquire(p)", for ThreadSanitizer.
#if defined(RESBLOCK_THREAD_SANITIZER)
void release(void* p) { __tsan_release(p); }
void acquire(void* p) { __tsan_acquire(p); }
#else
void release(void*) {}
void acquire(void*) {}
#endif

enum class Waits { not_at_all, for_flag, at_block_barrier, at_warp_barrier, finished };

struct Block;

struct Thread {
  Fiber* fiber;
  Block* block;
  uint3 index;
  unsigned number, lane, warp;
  Waits waits = Waits::not_at_all;
  unsigned lanes = 0;  // that meet at the warp barrier
  uint64_t stores_before_poll = 0;
};

struct Warp {
  Brought value[warp_size];  // as each lane brings it to the next meeting
  Brought met[warp_size];    // and as it was when its lanes last met
};

struct Block {
  uint3 index;
  std::unique_ptr<Thread[]> threads;
  std::unique_ptr<Warp[]> warps;
  std::unique_ptr<void, void (*)(void*)> shared{nullptr, free};
};

// Fibers are used again and again: for ThreadSanitizer above all they are dear to make.
Fiber& pooled_fiber(size_t index) {
  static std::vector<std::unique_ptr<Fiber>> pool;
  while (pool.size() <= index) pool.emplace_back(new Fiber);
  return *pool[index];
}

Schedule schedule;

// The blocks of a launch that are alive together.
class Residents {
 public:
  Residents(const Launch& launch, const std::function<void()>& body, uint64_t first, uint64_t count);
  ~Residents();
  void run();
  void suspend(Waits reason);

  Thread* running = nullptr;
  uint64_t stores = 0;
  const Launch& launch;

 private:
  static void thread_body(void* self);
  void create(Block& block, uint64_t id, size_t first_fiber);
  bool run_threads();
  bool release_barriers(Block& block);
  void release_warp_barriers(Block& block, bool& released);
  bool wake_on_stores();
  [[noreturn]] void report_deadlock() const;

  const std::function<void()>& body_;
  const unsigned threads_;
  std::vector<Block> blocks_;
  std::vector<Thread*> turn_;
  uint64_t random_ = 0x9E3779B97F4A7C15u;
  char started_ = 0, left_ = 0;  // on which ThreadSanitizer hangs the order of launch and threads
};

Residents* current = nullptr;

Residents::Residents(const Launch& launch, const std::function<void()>& body, uint64_t first, uint64_t count)
    : launch(launch), body_(body), threads_(launch.block.x * launch.block.y * launch.block.z), blocks_(count) {
  for (uint64_t k = 0; k < count; ++k) create(blocks_[k], first + k, k * threads_);
  if (schedule.order == Order::descending) std::reverse(turn_.begin(), turn_.end());
}

// What threads have done is ordered before the end of the launch, also where they will never run again.
Residents::~Residents() {
  for (Thread* thread : turn_)
    if (thread->waits != Waits::finished) thread->fiber->in_its_name(release, &left_);
  acquire(&left_);
}

void Residents::create(Block& block, uint64_t id, size_t first_fiber) {
  const dim3 &grid = launch.grid, &size = launch.block;
  block.index = {unsigned(id % grid.x), unsigned(id / grid.x % grid.y), unsigned(id / grid.x / grid.y)};
  block.threads.reset(new Thread[threads_]);
  block.warps.reset(new Warp[(threads_ + warp_size - 1) / warp_size]);
  // Exactly as many bytes as were asked for, so that AddressSanitizer sees an access past them.
  block.shared.reset(malloc(launch.shared_bytes));
  memset(block.shared.get(), 0xff, launch.shared_bytes);
  for (unsigned n = 0; n < threads_; ++n) {
    Thread& thread = block.threads[n];
    thread.block = &block;
    thread.index = {n % size.x, n / size.x % size.y, n / size.x / size.y};
    thread.number = n;
    thread.lane = n % warp_size;
    thread.warp = n / warp_size;
    thread.fiber = &pooled_fiber(first_fiber + n);
    thread.fiber->prepare(thread_body, this);
    turn_.push_back(&thread);
  }
}

void Residents::thread_body(void* self_pointer) {
  Residents& self = *static_cast<Residents*>(self_pointer);
  acquire(&self.started_);
  self.body_();
  release(&self.left_);
  self.running->waits = Waits::finished;
}

void Residents::run() {
  release(&started_);
  auto finished = [](const Thread* thread) { return thread->waits == Waits::finished; };
  while (!std::all_of(turn_.begin(), turn_.end(), finished)) {
    bool progress = run_threads();
    for (Block& block : blocks_) progress |= release_barriers(block);
    progress |= wake_on_stores();
    if (!progress) report_deadlock();
  }
}

void Residents::suspend(Waits reason) {
  running->waits = reason;
  running->fiber->suspend();
}

bool Residents::run_threads() {
  if (schedule.order == Order::shuffled)
    for (size_t left = turn_.size(); left > 1; --left) {
      random_ ^= random_ << 13, random_ ^= random_ >> 7, random_ ^= random_ << 17;
      std::swap(turn_[left - 1], turn_[random_ % left]);
    }
  bool any = false;
  for (Thread* thread : turn_) {
    if (thread->waits != Waits::not_at_all) continue;
    running = thread;
    threadIdx = thread->index;
    blockIdx = thread->block->index;
    thread->fiber->resume();
    any = true;
  }
  running = nullptr;
  return any;
}

// Stricter than CUDA, which lets threads that have returned miss a barrier.
bool Residents::release_barriers(Block& block) {
  unsigned waiting = 0, finished = 0;
  for (unsigned n = 0; n < threads_; ++n) {
    waiting += block.threads[n].waits == Waits::at_block_barrier;
    finished += block.threads[n].waits == Waits::finished;
  }
  if (waiting && finished) throw KernelError("__syncthreads() is not reached by all threads of the block");
  bool released = waiting == threads_;
  if (released)
    for (unsigned n = 0; n < threads_; ++n) block.threads[n].waits = Waits::not_at_all;
  release_warp_barriers(block, released);
  return released;
}

void Residents::release_warp_barriers(Block& block, bool& released) {
  for (unsigned n = 0; n < threads_; ++n) {
    if (block.threads[n].waits != Waits::at_warp_barrier) continue;
    const unsigned lanes = block.threads[n].lanes, first = n - n % warp_size;
    std::vector<Thread*> meeting;
    for (unsigned lane = 0; lane < warp_size; ++lane)
      if (lanes >> lane & 1) {
        if (first + lane >= threads_) throw KernelError("a warp's mask names lanes outside the block");
        meeting.push_back(&block.threads[first + lane]);
      }
    const bool all = std::all_of(meeting.begin(), meeting.end(), [&](const Thread* thread) {
      return thread->waits == Waits::at_warp_barrier && thread->lanes == lanes;
    });
    if (!all) continue;
    for (Thread* thread : meeting) {
      thread->waits = Waits::not_at_all;
      block.warps[thread->warp].met[thread->lane] = block.warps[thread->warp].value[thread->lane];
    }
    released = true;
  }
}

// Lanes of a warp may vote on what each of them polled, so they wake together.
bool Residents::wake_on_stores() {
  bool woken = false;
  for (Block& block : blocks_)
    for (unsigned first = 0; first < threads_; first += warp_size) {
      Thread *begin = &block.threads[first], *end = &block.threads[0] + std::min(first + warp_size, threads_);
      auto sleeps = [](const Thread& thread) { return thread.waits == Waits::for_flag; };
      const bool stale = std::any_of(
          begin, end, [&](const Thread& thread) { return sleeps(thread) && thread.stores_before_poll != stores; });
      if (!stale) continue;
      for (Thread* thread = begin; thread != end; ++thread)
        if (sleeps(*thread)) thread->waits = Waits::not_at_all;
      woken = true;
    }
  return woken;
}

void Residents::report_deadlock() const {
  std::string message = "deadlock";
  const std::pair<Waits, const char*> kinds[] = {{Waits::for_flag, "for a flag"},
                                                 {Waits::at_block_barrier, "at __syncthreads()"},
                                                 {Waits::at_warp_barrier, "for lanes of its warp"}};
  for (const auto& [kind, name] : kinds) {
    const auto waits = [kind = kind](const Thread* thread) { return thread->waits == kind; };
    const auto count = std::count_if(turn_.begin(), turn_.end(), waits);
    if (!count) continue;
    const Thread& thread = **std::find_if(turn_.begin(), turn_.end(), waits);
    message += "; waiting " + std::string(name) + ": " + std::to_string(count) + ", one of them thread " +
               std::to_string(thread.number) + " of block " + std::to_string(thread.block->index.x);
  }
  throw KernelError(message);
}

void meet_lanes(unsigned lanes) {
  current->running->lanes = lanes;
  current->suspend(Waits::at_warp_barrier);
}

}  // namespace

void set_schedule(Schedule wanted) { schedule = wanted; }

void run(const Launch& launch, const std::function<void()>& body) {
  const uint64_t blocks = uint64_t(launch.grid.x) * launch.grid.y * launch.grid.z;
  const uint64_t together = launch.cooperative ? blocks : std::max(schedule.resident_blocks, 1u);
  blockDim = launch.block;
  gridDim = launch.grid;
  for (uint64_t first = 0; first < blocks; first += together) {
    Residents residents(launch, body, first, std::min(together, blocks - first));
    current = &residents;
    residents.run();
  }
}

unsigned lane() { return current->running->lane; }
void* shared_memory() { return current->running->block->shared.get(); }

void block_barrier() {
  Block* block = current->running->block;
  release(block);
  current->suspend(Waits::at_block_barrier);
  acquire(block);
}

void warp_barrier(unsigned lanes) {
  Warp* warp = &current->running->block->warps[current->running->warp];
  release(warp);
  meet_lanes(lanes);
  acquire(warp);
}

const Brought* meet(unsigned lanes, const Brought& mine) {
  Warp& warp = current->running->block->warps[current->running->warp];
  warp.value[lane()] = mine;
  meet_lanes(lanes);
  return warp.met;
}

uint64_t shuffle(unsigned lanes, uint64_t value, unsigned source_lane) {
  return meet(lanes, {{value}})[source_lane % warp_size].words[0];
}

unsigned ballot(unsigned lanes, bool vote) {
  const Brought* met = meet(lanes, {{vote}});
  unsigned votes = 0;
  for (unsigned k = 0; k < warp_size; ++k)
    if (lanes >> k & 1) votes |= unsigned(met[k].words[0]) << k;
  return votes;
}

void before_poll() { current->running->stores_before_poll = current->stores; }
void after_store() { ++current->stores; }
void sleep_until_store() { current->suspend(Waits::for_flag); }

}  // namespace cuda_on_host
