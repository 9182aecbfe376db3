#include "core/cpu/isa.h"

#include <stdlib.h>
#include <string.h>

#include <algorithm>

namespace resblock::cpu {
namespace {

#if defined(__x86_64__)
// Not __builtin_cpu_supports("x86-64-v3"), which older compilers do not know. What is left out of the two levels
// (F16C, LZCNT, MOVBE) came with AVX2 and BMI2.
Isa detect_isa() {
  __builtin_cpu_init();
  const bool v3 = __builtin_cpu_supports("avx2") && __builtin_cpu_supports("bmi") && __builtin_cpu_supports("bmi2") &&
                  __builtin_cpu_supports("fma");
  const bool v4 = v3 && __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw") &&
                  __builtin_cpu_supports("avx512cd") && __builtin_cpu_supports("avx512dq") &&
                  __builtin_cpu_supports("avx512vl");
  return v4 && RESBLOCK_V4 ? Isa::x86_64_v4 : v3 && RESBLOCK_V3 ? Isa::x86_64_v3 : Isa::portable;
}
constexpr const char* least = "x86-64";
#else
Isa detect_isa() { return Isa::portable; }
constexpr const char* least = "portable";
#endif

}  // namespace

Isa processor_isa() {
  static const Isa found = [] {
    const char* wanted = getenv("RESBLOCK_ISA");
    return wanted ? std::min(isa_of(wanted), detect_isa()) : detect_isa();
  }();
  return found;
}

const char* name(Isa isa) { return isa == Isa::x86_64_v4 ? "x86-64-v4" : isa == Isa::x86_64_v3 ? "x86-64-v3" : least; }

Isa isa_of(const char* wanted) {
  for (const Isa isa : {Isa::x86_64_v4, Isa::x86_64_v3})
    if (!strcmp(wanted, name(isa))) return isa;
  return Isa::portable;
}

}  // namespace resblock::cpu
