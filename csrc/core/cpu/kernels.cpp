#include "core/cpu/kernels.h"

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
  if (processor_isa() == Isa::x86_64_v4) return x86_64_v4::kernels<A>();
#endif
#if RESBLOCK_V3
  if (processor_isa() == Isa::x86_64_v3) return x86_64_v3::kernels<A>();
#endif
  return portable::kernels<A>();
}

template Kernels<float> kernels<float>();
template Kernels<double> kernels<double>();

}  // namespace resblock::cpu
