// Times the CPU schedules on one thread, without torch, to tune a kernel in seconds.
//
//     bench_schedules [--type f32|f64] [--dropout P] [--seconds N] [--schedule NAME]
//                     [--size T,B,I,H,L[,training]] [NAME...]
//
// Without names or sizes: every workload below. RESBLOCK_ISA chooses as everywhere. Times are the thread's CPU time,
// which other processes disturb least: the least and the median of all repeats. A call is planned and gets its
// workspace within the time.
#include <time.h>

#include <algorithm>
#include <cmath>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <random>
#include <stdexcept>
#include <string>
#include <vector>

#include "core/cpu/block_cache.h"
#include "core/cpu/run.h"

namespace {

using namespace resblock;

struct Workload {
  std::string name;
  Sizes size;
  bool training;
};

// The sizes of bench/workloads.py; S has a part of its sequences, which all take the same time.
const std::vector<Workload> table = {
    {"A", {10000, 1, 18, 8, 60}, false}, {"S", {9, 2048, 18, 8, 60}, false},    {"R", {9, 128, 18, 8, 60}, true},
    {"R2", {1000, 8, 18, 8, 60}, true},  {"M16", {2000, 1, 18, 16, 60}, false}, {"M32", {2000, 1, 18, 32, 60}, false},
    {"W", {128, 64, 18, 256, 2}, false}, {"Wt", {128, 64, 18, 256, 2}, true},   {"B4", {100, 4, 18, 8, 60}, true},
    {"H16", {20, 64, 18, 16, 20}, true}, {"H64", {20, 64, 18, 64, 4}, true},    {"B1t", {1000, 1, 18, 8, 60}, true},
};

double thread_seconds() {
  timespec now;
  clock_gettime(CLOCK_THREAD_CPUTIME_ID, &now);
  return double(now.tv_sec) + 1e-9 * double(now.tv_nsec);
}

struct Times {
  double least, median;
};

template <class Body>
Times measure(double seconds, Body body) {
  body();  // caches and page tables
  std::vector<double> times;
  double spent = 0;
  while (times.size() < 5 || (spent < seconds && times.size() < 1000)) {
    const double start = thread_seconds();
    body();
    times.push_back(thread_seconds() - start);
    spent += times.back();
  }
  std::sort(times.begin(), times.end());
  return {times.front(), times[times.size() / 2]};
}

// Everything a training step reads and writes.
template <class S>
struct Arrays {
  using Array = std::vector<S>;
  Array input, ih_first, ih, hh, peephole, bias, output, h_n, c_n, grad_output;
  std::vector<Arithmetic<S>> saved;
  Array grad_input, grad_ih_first, grad_ih, grad_hh, grad_peephole, grad_bias;
  Forward<S> forward;
  Backward<S> backward;

  Arrays(const Workload& work, double dropout) {
    const Sizes& s = work.size;
    const double width = 1 / std::sqrt(std::max(1., double(s.H)));  // a new module's
    input = random(s.T * s.B * s.I, 1);
    ih_first = random(4 * s.H * s.I, width);
    ih = random((s.L - 1) * 4 * s.H * s.H, width);
    hh = random(s.L * 4 * s.H * s.H, width);
    peephole = random(s.L * 3 * s.H, width);
    bias = random(s.L * 4 * s.H, width);
    for (int64_t layer = 0; layer < s.L; ++layer)  // forget gates are open
      for (int64_t u = 0; u < s.H; ++u) store(&bias[size_t((layer * 4 + 1) * s.H + u)], Arithmetic<S>(1));
    h_n = c_n = Array(size_t(s.L * s.B * s.H));
    output = Array(size_t(s.T * s.B * s.H));
    const Inputs<S> in = {s,
                          {dropout, 1, true, false, 0},
                          input.data(),
                          {ih_first.data(), ih.data(), hh.data(), peephole.data(), bias.data()},
                          nullptr,  // states are zeros, and their gradients not wanted
                          nullptr,
                          nullptr};
    if (work.training) {
      saved.resize(size_t(s.L * saved_per_layer(s)));
      grad_output = random(s.T * s.B * s.H, 1);
      grad_input = input, grad_ih_first = ih_first, grad_ih = ih, grad_hh = hh;
      grad_peephole = peephole, grad_bias = bias;
    }
    forward = {in, output.data(), h_n.data(), c_n.data(), work.training ? saved.data() : nullptr};
    backward = {in,
                grad_output.data(),
                nullptr,
                nullptr,
                saved.data(),
                grad_input.data(),
                {grad_ih_first.data(), grad_ih.data(), grad_hh.data(), grad_peephole.data(), grad_bias.data()},
                nullptr,
                nullptr};
  }

 private:
  std::mt19937 generator{1};

  Array random(int64_t count, double limit) {
    std::uniform_real_distribution<double> value(-limit, limit);
    Array array(static_cast<size_t>(count));
    for (S& x : array) store(&x, Arithmetic<S>(value(generator)));
    return array;
  }
};

// Multiply-adds of the forward pass, two operations each; the backward pass has twice as many.
double forward_operations(const Sizes& s) {
  const double first = double(s.I + s.H), others = double(s.L - 1) * 2 * double(s.H);
  return double(s.T * s.B) * 8 * double(s.H) * (first + others);
}

void print(const char* part, const Times& times, double cells, double operations) {
  printf("  %s %8.2f %8.2f %7.1f", part, times.least / cells * 1e9, times.median / cells * 1e9,
         operations / times.least * 1e-9);
}

struct Settings {
  double dropout = 0, seconds = 0.5;
  std::optional<cpu::Schedule> schedule;
};

template <class S>
void run(const Workload& work, const Settings& settings) {
  Arrays<S> arrays(work, settings.dropout);
  const Sizes& s = work.size;
  const cpu::Machine machine = {cpu::processor_isa(), 1};
  const cpu::Request request = {s, settings.dropout > 0, settings.schedule};
  const auto forward = [&] {
    const cpu::Plan plan =
        work.training ? cpu::plan_training<S>(machine, request).forward : cpu::plan_inference<S>(machine, request);
    cpu::run(plan, arrays.forward, cpu::serial, cpu::Workspace(plan.workspace).data());
  };
  const auto backward = [&] {
    const cpu::Training plan = cpu::plan_training<S>(machine, request);
    cpu::run(plan, arrays.backward, cpu::serial, cpu::Workspace(plan.backward.workspace).data());
  };
  const double cells = double(s.L * s.T * s.B), operations = forward_operations(s);
  printf("%-4s T %5ld B %5ld H %3ld L %2ld", work.name.c_str(), long(s.T), long(s.B), long(s.H), long(s.L));
  print("forward", measure(settings.seconds, forward), cells, operations);
  if (work.training) print("backward", measure(settings.seconds, backward), cells, 2 * operations);
  printf("\n");
  fflush(stdout);
}

Workload parse_size(const std::string& text) {
  Workload work = {"-", {0, 0, 0, 0, 0}, false};
  Sizes& s = work.size;
  long v[5];
  char rest[16] = "";
  const int found = sscanf(text.c_str(), "%ld,%ld,%ld,%ld,%ld,%15s", v, v + 1, v + 2, v + 3, v + 4, rest);
  if (found < 5 || *std::min_element(v, v + 5) < 1 || (found == 6 && strcmp(rest, "training")))
    throw std::invalid_argument("--size is '" + text + "', expected T,B,I,H,L or T,B,I,H,L,training");
  s = {v[0], v[1], v[2], v[3], v[4]};
  work.training = found == 6;
  return work;
}

Workload find(const std::string& name) {
  for (const Workload& work : table)
    if (work.name == name) return work;
  std::string names;
  for (const Workload& work : table) names += " " + work.name;
  throw std::invalid_argument("no workload '" + name + "', expected one of:" + names);
}

void run_all(int argc, char** argv) {
  std::vector<Workload> chosen;
  std::string type = "f32";
  Settings settings;
  for (int k = 1; k < argc; ++k) {
    const std::string word = argv[k];
    const bool option = word.rfind("--", 0) == 0;
    if (option && k + 1 == argc) throw std::invalid_argument(word + " wants a value");
    if (word == "--size")
      chosen.push_back(parse_size(argv[++k]));
    else if (word == "--type")
      type = argv[++k];
    else if (word == "--dropout")
      settings.dropout = atof(argv[++k]);
    else if (word == "--seconds")
      settings.seconds = atof(argv[++k]);
    else if (word == "--schedule")
      settings.schedule = find_schedule<cpu::Schedule>(std::string(argv[++k]), cpu::schedule_names);
    else
      chosen.push_back(find(word));
  }
  printf("%s, %s, schedule %s; ns per cell: least, median; GFLOP/s of multiply-adds at the least\n",
         cpu::name(cpu::processor_isa()), type.c_str(),
         settings.schedule ? cpu::schedule_names[int(*settings.schedule)] : "by size");
  for (const Workload& work : chosen.empty() ? table : chosen)
    if (type == "f32")
      run<float>(work, settings);
    else if (type == "f64")
      run<double>(work, settings);
    else
      throw std::invalid_argument("--type is '" + type + "', expected f32 or f64");
}

}  // namespace

int main(int argc, char** argv) {
  try {
    run_all(argc, argv);
  } catch (const std::exception& error) {
    fprintf(stderr, "bench_schedules: %s\n", error.what());
    return 2;
  }
}
