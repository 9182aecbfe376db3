// Threads of a call, apart from torch's.
#pragma once
#include <stdint.h>

#include <atomic>
#include <thread>
#include <vector>

// Threads that fetch tasks as they come: no two runs need be alike.
struct Threads {
  int count;

  static void run(void* context, int64_t tasks, void (*task)(const void*, int64_t), const void* argument) {
    std::atomic<int64_t> next{0};
    auto work = [&] {
      for (int64_t index = next++; index < tasks; index = next++) task(argument, index);
    };
    std::vector<std::thread> others;
    for (int k = 1; k < static_cast<Threads*>(context)->count; ++k) others.emplace_back(work);
    work();
    for (std::thread& other : others) other.join();
  }
};
