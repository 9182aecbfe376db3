#include "core/cpu/kernels.h"

#include "core/cpu/bfloat16.h"

namespace resblock::cpu {

#define RESBLOCK_DECLARE_ISA(name) \
  namespace name {                 \
  template <class A>               \
  Kernels<A> kernels();            \
  }
RESBLOCK_DECLARE_ISA(portable)
RESBLOCK_DECLARE_ISA(x86_64_v3)
RESBLOCK_DECLARE_ISA(x86_64_v4)

template <class A>
Kernels<A> kernels() {
#if RESBLOCK_V4
  if (processor_isa() >= Isa::x86_64_v4) return x86_64_v4::kernels<A>();
#endif
#if RESBLOCK_V3
  if (processor_isa() == Isa::x86_64_v3) return x86_64_v3::kernels<A>();
#endif
  return portable::kernels<A>();
}

#if !RESBLOCK_V4
void round_to_bfloat16(int64_t, int64_t, const float*, bfloat16*) {}
void round_transposed_to_bfloat16(int64_t, int64_t, const float*, int64_t, bfloat16*) {}
void pack_bfloat16(int64_t, int64_t, const float*, int64_t, bfloat16*) {}
void pack_bfloat16(int64_t, int64_t, const bfloat16*, int64_t, bfloat16*) {}
void pack_bfloat16_transposed(int64_t, int64_t, const bfloat16*, bfloat16*) {}
#endif

MultiplyBfloat16 multiply_bfloat16([[maybe_unused]] Products products) {
#if RESBLOCK_AMX
  if (products == Products::amx_bf16) return multiply_amx_bf16;
#endif
#if RESBLOCK_V4
  if (products == Products::avx512_bf16) return multiply_avx512_bf16;
#endif
  return nullptr;
}

template Kernels<float> kernels<float>();
template Kernels<double> kernels<double>();

}  // namespace resblock::cpu
