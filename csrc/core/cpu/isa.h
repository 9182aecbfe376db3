// The instruction sets that the kernels are compiled for.
#pragma once
#include <stdint.h>

namespace resblock::cpu {

// Ever larger. Each has a namespace of its name with its kernels.
enum class Isa { portable, x86_64_v3, x86_64_v4 };

constexpr int vector_bytes(Isa isa) { return isa == Isa::x86_64_v4 ? 64 : isa == Isa::x86_64_v3 ? 32 : 16; }

// What the processor has, or less if RESBLOCK_ISA says so.
Isa processor_isa();

// "x86-64-v4", "x86-64-v3" or, for the least, "x86-64"; "portable" on other processors.
const char* name(Isa isa);

// The one of that name; the least if none has it.
Isa isa_of(const char* name);

}  // namespace resblock::cpu
