#include "core/cpu/isa.h"

#include <stdlib.h>
#include <string.h>

#include <algorithm>
#include <iterator>

#if defined(__x86_64__)
#include <cpuid.h>
#endif
#if defined(__linux__)
#include <sys/syscall.h>
#include <unistd.h>
#endif

namespace resblock::cpu {
namespace {

#if defined(__x86_64__)
// Of those that older compilers have no names for.
bool has_feature(unsigned bit) {
  unsigned a, b, c, d;
  return __get_cpuid_count(7, 0, &a, &b, &c, &d) && d & bit;
}

// Intel's processors that have AVX512_FP16 take as long for a dot product of AVX512_BF16 as for four multiply-adds.
bool has_fast_dot_products() {
  const unsigned avx512_fp16 = 1u << 23;
  return __builtin_cpu_supports("avx512bf16") && !(__builtin_cpu_is("intel") && has_feature(avx512_fp16));
}

// Whether the processor has AMX with bfloat16, and the system lets this process use its tiles. Linux wants to be asked,
// as every thread then needs 8 KiB more to store its registers.
bool has_amx_bf16() {
#if defined(__linux__) && RESBLOCK_AMX
  const unsigned amx_bf16 = 1u << 22, amx_tile = 1u << 24;
  if (!has_feature(amx_bf16) || !has_feature(amx_tile)) return false;
  const long request_permission = 0x1023, tile_data = 18;  // ARCH_REQ_XCOMP_PERM, XFEATURE_XTILEDATA
  return syscall(SYS_arch_prctl, request_permission, tile_data) == 0;
#else
  return false;
#endif
}

// Not __builtin_cpu_supports("x86-64-v3"), which older compilers do not know. What is left out of the two levels
// (F16C, LZCNT, MOVBE) came with AVX2 and BMI2.
Isa detect_isa() {
  __builtin_cpu_init();
  const bool v3 = __builtin_cpu_supports("avx2") && __builtin_cpu_supports("bmi") && __builtin_cpu_supports("bmi2") &&
                  __builtin_cpu_supports("fma");
  const bool v4 = v3 && __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw") &&
                  __builtin_cpu_supports("avx512cd") && __builtin_cpu_supports("avx512dq") &&
                  __builtin_cpu_supports("avx512vl");
  if (!v4 || !RESBLOCK_V4) return v3 && RESBLOCK_V3 ? Isa::x86_64_v3 : Isa::portable;
  if (__builtin_cpu_supports("avx512bf16") && has_amx_bf16()) return Isa::x86_64_v4_bf16_amx;
  return has_fast_dot_products() ? Isa::x86_64_v4_bf16 : Isa::x86_64_v4;
}
constexpr const char* least = "x86-64";
#else
Isa detect_isa() { return Isa::portable; }
constexpr const char* least = "portable";
#endif

constexpr const char* names[] = {least, "x86-64-v3", "x86-64-v4", "x86-64-v4-bf16", "x86-64-v4-bf16-amx"};

}  // namespace

Isa processor_isa() {
  static const Isa found = [] {
    const char* wanted = getenv("RESBLOCK_ISA");
    return wanted ? std::min(isa_of(wanted), detect_isa()) : detect_isa();
  }();
  return found;
}

const char* name(Isa isa) { return names[int(isa)]; }

Isa isa_of(const char* wanted) {
  for (size_t k = std::size(names); k-- > 1;)
    if (!strcmp(wanted, names[k])) return Isa(k);
  return Isa::portable;
}

}  // namespace resblock::cpu
