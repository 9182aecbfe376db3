// The instruction sets that the kernels are compiled for.
#pragma once
#include <stdint.h>

// Kernels take long to compile: builds that only check the code may leave the wider instruction sets out.
#if defined(__x86_64__) && !defined(RESBLOCK_WITHOUT_V3)
#define RESBLOCK_V3 1
#else
#define RESBLOCK_V3 0
#endif
#if defined(__x86_64__) && !defined(RESBLOCK_WITHOUT_V4)
#define RESBLOCK_V4 1
#else
#define RESBLOCK_V4 0
#endif
// The compiler must know the tiles' instructions.
#if RESBLOCK_V4 && ((defined(__clang__) && __clang_major__ >= 12) || (!defined(__clang__) && __GNUC__ >= 11))
#define RESBLOCK_AMX 1
#else
#define RESBLOCK_AMX 0
#endif

namespace resblock::cpu {

// Ever larger. Each of the first three has a namespace of its name with its kernels; what the others have more are
// products of bfloat16 numbers (core/cpu/bfloat16.h).
enum class Isa { portable, x86_64_v3, x86_64_v4, x86_64_v4_bf16, x86_64_v4_bf16_amx };

constexpr int vector_bytes(Isa isa) { return isa >= Isa::x86_64_v4 ? 64 : isa == Isa::x86_64_v3 ? 32 : 16; }

// What the processor has, or less if RESBLOCK_ISA says so.
Isa processor_isa();

// "x86-64-v4-bf16-amx", "x86-64-v4-bf16", "x86-64-v4", "x86-64-v3" or, for the least, "x86-64"; "portable" on other
// processors.
const char* name(Isa isa);

// The one of that name; the least if none has it.
Isa isa_of(const char* name);

}  // namespace resblock::cpu
