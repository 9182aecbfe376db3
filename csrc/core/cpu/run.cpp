#include "core/cpu/run.h"

#include "core/cpu/schedules.h"

namespace resblock::cpu {

const Parallel serial = {nullptr, 1,
                         [](void*, int64_t tasks, void (*task)(const void*, int64_t), const void* argument) {
                           for (int64_t index = 0; index < tasks; ++index) task(argument, index);
                         }};

namespace {

// What follows the last pieces of sequences.
template <class A>
void zero_past_pieces(const Inputs<A>& p, int64_t width, A* rows) {
  for (int64_t place = 0; place < p.size.B; ++place) {
    const Piece& piece = p.pieces->at[place];
    for (int64_t t = piece.first_step + running_steps(p, place); piece.is_last && t < p.pieces->T; ++t)
      std::fill_n(rows + (p.pieces->first_row[t] + piece.column) * width, width, A(0));
  }
}

// No gradient reaches the states of a sequence that begins anew at once.
template <class A>
void zero_without_piece(const Backward<A>& p, A* grad_states) {
  if (!p.pieces || !grad_states) return;
  for (int64_t place = 0; place < p.size.B; ++place) {
    const Piece& piece = p.pieces->at[place];
    if (piece.first_step || piece.from_state) continue;
    for (int64_t layer = 0; layer < p.size.L; ++layer)
      std::fill_n(grad_states + (layer * p.pieces->sequences + piece.sequence) * p.size.H, p.size.H, A(0));
  }
}

// In an array over (T, B), where sequences have ended.
template <class A>
void zero_past_ends(const Inputs<A>& p, const Parallel& parallel, int64_t width, A* rows) {
  if (!p.lengths || p.packed || !rows) return;
  if (p.pieces) return zero_past_pieces(p, width, rows);
  const int64_t worth_task = int64_t(1) << 18, all = p.size.T * p.size.B * width;
  const int64_t tasks = std::clamp<int64_t>(all / worth_task, 1, std::max<int64_t>(p.size.T, 1));
  run_tasks(tasks == 1 ? serial : parallel, tasks, [&](int64_t task) {
    int64_t running = p.size.B;
    for (int64_t t = task * p.size.T / tasks; t < (task + 1) * p.size.T / tasks; ++t) {
      while (running > 0 && running_steps(p, running - 1) <= t) --running;
      A* step = rows + t * p.size.B * width;
      if (!p.order) std::fill_n(step + running * width, (p.size.B - running) * width, A(0));
      for (int64_t place = running; p.order && place < p.size.B; ++place)
        std::fill_n(step + p.order[place] * width, width, A(0));
    }
  });
}

}  // namespace

template <class A>
void run(const Plan& plan, const Forward<A>& problem, const Parallel& parallel, void* workspace) {
  const auto schedule = plan.schedule == Schedule::batched     ? forward_batched<A>
                        : plan.schedule == Schedule::layerwise ? forward_layerwise<A>
                                                               : forward_wavefront<A>;
  schedule(plan.partition, problem, parallel, {workspace});
  zero_past_ends(problem, parallel, problem.size.H, problem.output);
  for (int64_t layer = 0; problem.cells && layer < problem.size.L; ++layer)
    zero_past_ends(problem, parallel, problem.size.H, problem.cells + layer * row_count(problem) * problem.size.H);
}

template <class A>
void run(const Training& plan, const Backward<A>& problem, const Parallel& parallel, void* workspace) {
  const auto schedule = plan.backward.schedule == Schedule::batched ? backward_batched<A> : backward_layerwise<A>;
  schedule(plan.backward.partition, problem, parallel, {workspace});
  zero_past_ends(problem, parallel, problem.size.I, problem.grad_input);
  zero_without_piece(problem, problem.grad_h_0);
  zero_without_piece(problem, problem.grad_c_0);
}

#define RESBLOCK_INSTANTIATE(A)                                              \
  template void run(const Plan&, const Forward<A>&, const Parallel&, void*); \
  template void run(const Training&, const Backward<A>&, const Parallel&, void*);
RESBLOCK_INSTANTIATE(float)
RESBLOCK_INSTANTIATE(double)

}  // namespace resblock::cpu
