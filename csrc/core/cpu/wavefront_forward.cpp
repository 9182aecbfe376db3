#include <iterator>

#include "core/cpu/schedules.h"

namespace resblock::cpu {

template <class A>
void forward_wavefront(const Partition& partition, const Forward<A>& p, const Parallel& parallel, Arena arena) {
  const WaveShape shape = wave_shape(vector_bytes(processor_isa()) / int64_t(sizeof(A)), p.size.H);
  const Kernels<A> all = kernels<A>();
  const WavefrontKernels<A> kernels = *std::find_if(std::begin(all.wavefront), std::end(all.wavefront),
                                                    [&](const auto& one) { return one.units == shape.units(); });
  const WavefrontArrays<A> arrays(shape, p.size, partition, arena);
  kernels.pack(p, arrays.weights);
  run_diagonals(parallel, partition.blocks, partition, [&](int64_t sequence, int64_t segment, int64_t chunk) {
    kernels.forward(p, partition, arrays.weights, sequence, segment, chunk, arrays.scratch.of(sequence));
  });
}

RESBLOCK_INSTANTIATE_SCHEDULE(forward_wavefront, Forward)

}  // namespace resblock::cpu
