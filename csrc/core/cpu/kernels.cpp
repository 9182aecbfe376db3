#include "core/cpu/kernels.h"

namespace resblock::cpu {

#define RESBLOCK_DECLARE_ISA(name) \
  namespace name {                 \
  template <class S>               \
  Kernels<S> kernels();            \
  }
RESBLOCK_DECLARE_ISA(portable)
#if defined(__x86_64__)
RESBLOCK_DECLARE_ISA(x86_64_v3)
RESBLOCK_DECLARE_ISA(x86_64_v4)
#endif

template <class S>
Kernels<S> kernels() {
#if defined(__x86_64__)
  if (processor_isa() == Isa::x86_64_v4) return x86_64_v4::kernels<S>();
  if (processor_isa() == Isa::x86_64_v3) return x86_64_v3::kernels<S>();
#endif
  return portable::kernels<S>();
}

template Kernels<float> kernels<float>();
template Kernels<double> kernels<double>();
template Kernels<bfloat16> kernels<bfloat16>();
template Kernels<float16> kernels<float16>();

}  // namespace resblock::cpu
