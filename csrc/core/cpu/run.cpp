#include "core/cpu/run.h"

#include "core/cpu/schedules.h"

namespace resblock::cpu {

const Parallel serial = {nullptr, 1,
                         [](void*, int64_t tasks, void (*task)(const void*, int64_t), const void* argument) {
                           for (int64_t index = 0; index < tasks; ++index) task(argument, index);
                         }};

template <class A>
void run(const Plan& plan, const Forward<A>& problem, const Parallel& parallel, void* workspace) {
  const auto schedule = plan.schedule == Schedule::batched     ? forward_batched<A>
                        : plan.schedule == Schedule::layerwise ? forward_layerwise<A>
                                                               : forward_wavefront<A>;
  schedule(plan.partition, problem, parallel, {workspace});
}

template <class A>
void run(const Training& plan, const Backward<A>& problem, const Parallel& parallel, void* workspace) {
  const auto schedule = plan.backward.schedule == Schedule::batched ? backward_batched<A> : backward_layerwise<A>;
  schedule(plan.backward.partition, problem, parallel, {workspace});
}

#define RESBLOCK_INSTANTIATE(A)                                              \
  template void run(const Plan&, const Forward<A>&, const Parallel&, void*); \
  template void run(const Training&, const Backward<A>&, const Parallel&, void*);
RESBLOCK_INSTANTIATE(float)
RESBLOCK_INSTANTIATE(double)

}  // namespace resblock::cpu
