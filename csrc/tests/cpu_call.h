// A call on the CPU as its caller makes it: the longest sequences first, or their pieces, plan, workspace, run. The
// workspace is full of NaN, so that what is read before it is written shows.
#pragma once
#include <string.h>

#include "core/cpu/block_cache.h"
#include "core/cpu/pieces.h"
#include "core/cpu/run.h"

struct CpuCall {
  std::optional<resblock::cpu::Schedule> schedule = std::nullopt;
  resblock::cpu::Parallel parallel = resblock::cpu::serial;

  template <class S>
  resblock::cpu::Plan inference(const resblock::Inputs<S>& p, bool cells = false) const {
    return resblock::cpu::plan_inference<S>(machine(), request(p, cells));
  }
  template <class S>
  resblock::cpu::Training training(const resblock::Inputs<S>& p, bool cells = false) const {
    return resblock::cpu::plan_training<S>(machine(), request(p, cells));
  }

  template <class S>
  int64_t saved_values(resblock::Inputs<S> p) const {
    int64_t bytes = 0;
    in_order(p, [&] { bytes = training<S>(p).forward.saved; });
    return bytes / int64_t(sizeof(S));
  }

  template <class S>
  void operator()(resblock::Forward<S> p) const {
    in_order(p, [&] {
      const bool cells = p.cells;
      const resblock::cpu::Plan plan = p.saved ? training<S>(p, cells).forward : inference<S>(p, cells);
      resblock::cpu::run(plan, p, parallel, Poisoned(plan.workspace).data());
    });
  }
  template <class S>
  void operator()(resblock::Backward<S> p) const {
    in_order(p, [&] {
      const resblock::cpu::Training plan = training<S>(p);
      resblock::cpu::run(plan, p, parallel, Poisoned(plan.backward.workspace).data());
    });
  }

 private:
  template <class S, class Run>
  static void in_order(resblock::Inputs<S>& p, const Run& run) {
    std::optional<resblock::cpu::LongestFirst> sequences;
    std::optional<resblock::cpu::ResetPieces> pieces;
    if (p.lengths) {
      sequences = resblock::cpu::LongestFirst::of_lengths(p.lengths, p.size.B, p.options.first_step, p.size.T);
      sequences->apply(p);
    }
    if (p.resets) {
      pieces.emplace(p, p.resets);
      if (pieces->any()) pieces->apply(p);
    }
    run();
  }

  struct Poisoned : resblock::cpu::Workspace {
    explicit Poisoned(int64_t bytes) : Workspace(bytes) { memset(data(), 0xff, size_t(bytes)); }
  };

  resblock::cpu::Machine machine() const { return {resblock::cpu::processor_isa(), parallel.threads}; }
  template <class S>
  resblock::cpu::Request request(const resblock::Inputs<S>& p, bool cells) const {
    return {p.size,
            p.options.dropout > 0,
            schedule,
            p.lengths,
            p.options.first_step,
            p.bfloat16_weights.hh != nullptr,
            p.pieces != nullptr,
            cells};
  }
};
