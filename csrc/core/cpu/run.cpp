#include "core/cpu/run.h"

#include "core/cpu/schedules.h"

namespace resblock::cpu {

const Parallel serial = {nullptr, 1,
                         [](void*, int64_t tasks, void (*task)(const void*, int64_t), const void* argument) {
                           for (int64_t index = 0; index < tasks; ++index) task(argument, index);
                         }};

template <class S>
void run(const Plan& plan, const Forward<S>& problem, const Parallel& parallel, void* workspace) {
  const auto schedule = plan.schedule == Schedule::batched     ? forward_batched<S>
                        : plan.schedule == Schedule::layerwise ? forward_layerwise<S>
                                                               : forward_wavefront<S>;
  schedule(plan.partition, problem, parallel, {workspace});
}

template <class S>
void run(const Training& plan, const Backward<S>& problem, const Parallel& parallel, void* workspace) {
  const auto schedule = plan.backward.schedule == Schedule::batched ? backward_batched<S> : backward_layerwise<S>;
  schedule(plan.backward.partition, problem, parallel, {workspace});
}

#define RESBLOCK_INSTANTIATE(S)                                              \
  template void run(const Plan&, const Forward<S>&, const Parallel&, void*); \
  template void run(const Training&, const Backward<S>&, const Parallel&, void*);
RESBLOCK_INSTANTIATE(float)
RESBLOCK_INSTANTIATE(double)
RESBLOCK_INSTANTIATE(bfloat16)
RESBLOCK_INSTANTIATE(float16)

}  // namespace resblock::cpu
