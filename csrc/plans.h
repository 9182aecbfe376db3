// Plans as text, for Python to read: one line of words `name=value` for each pass.
#pragma once
#include <string>

#include "core/cpu/plan.h"
#ifdef RESBLOCK_CUDA
#include "core/cuda/plan.h"
#endif

namespace resblock {

// The words of one plan.
class PlanText {
 public:
  PlanText& add(const std::string& name, const std::string& value) {
    words += (words.empty() ? "" : " ") + name + "=" + value;
    return *this;
  }
  PlanText& add(const std::string& name, int64_t value) { return add(name, std::to_string(value)); }
  const std::string& text() const { return words; }

 private:
  std::string words;
};

inline void describe(const cpu::Partition& p, PlanText& to) {
  const char* packing[] = {"none", "ahead", "by_layer"};
  const char* products[] = {"full", "avx512_bf16", "amx_bf16"};
  to.add("sequences", p.sequences).add("blocks", p.blocks).add("steps", p.steps).add("chunks", p.chunks);
  to.add("segments", p.segments).add("groups", p.groups).add("workers", p.workers);
  to.add("packing", packing[int(p.packing)]).add("products", products[int(p.products)]);
  to.add("far_weights", p.far_weights);
}

#ifdef RESBLOCK_CUDA
inline void describe(const cuda::Partition& p, PlanText& to) {
  to.add("blocks", p.blocks).add("lanes", p.lanes).add("steps", p.steps).add("pipes", p.pipes);
  to.add("units", p.units).add("unit_blocks", p.unit_blocks).add("sequence_blocks", p.sequence_blocks);
}
#endif

template <class Plan, size_t count>
std::string describe(const Plan& plan, const char* const (&schedule_names)[count]) {
  PlanText to;
  to.add("schedule", schedule_names[int(plan.schedule)]).add("workspace", plan.workspace).add("saved", plan.saved);
  describe(plan.partition, to);
  return to.text();
}

template <class Plan, size_t count>
std::string describe(const Training<Plan>& plan, const char* const (&schedule_names)[count]) {
  return describe(plan.forward, schedule_names) + "\n" + describe(plan.backward, schedule_names);
}

}  // namespace resblock
