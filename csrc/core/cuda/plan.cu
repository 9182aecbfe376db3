// Chooses a schedule by size.
#include <stdlib.h>
#include <string.h>

#include <stdexcept>
#include <string>
#include <type_traits>

#include "core/cuda/general.h"
#include "core/cuda/serial.h"
#include "core/cuda/wavefront.h"
#include "core/cuda/wide.h"

namespace resblock::cuda {
namespace {

enum class Schedule { by_size, general, serial, wavefront, wide };

Schedule wanted_schedule() {
  const char* wanted = getenv("RESBLOCK_CUDA_SCHEDULE");
  if (!wanted) return Schedule::by_size;
  if (!strcmp(wanted, "general")) return Schedule::general;
  if (!strcmp(wanted, "serial")) return Schedule::serial;
  if (!strcmp(wanted, "wavefront")) return Schedule::wavefront;
  if (!strcmp(wanted, "wide")) return Schedule::wide;
  throw std::invalid_argument("RESBLOCK_CUDA_SCHEDULE is '" + std::string(wanted) +
                              "', expected one of: " + schedules());
}

Schedule wanted() {
  static const Schedule found = wanted_schedule();
  return found;
}

// Steps of a cell that follow one another. What a warp of either schedule takes for a step is much alike.
template <int G>
int64_t serial_length(const Sizes& s) {
  const int64_t warps = serial_warps * serial_most_blocks;
  return (bundles<G>(s) + warps - 1) / warps * s.L * s.T;
}

template <int G>
int64_t wavefront_length(const Sizes& s, const Wave& wave) {
  return (bundles<G>(s) + wave.pipes - 1) / wave.pipes * s.T + 2 * s.L * wave.steps;
}

// The narrow schedules save alike for the backward pass, so that each direction may choose between them on its own.
template <template <class, int> class Wavefront, class S, int G>
bool takes_wavefront(const Sizes& s) {
  if (wanted() == Schedule::serial || s.T == 0 || s.B == 0) return false;
  if (Packed<G>::tiles(s, 0) > wavefront_most_tiles) return false;
  const Wave wave = Wavefront<S, G>::cut(s);
  if (wave.pipes == 0) return false;  // the layers cannot be resident together
  return wanted() == Schedule::wavefront || wavefront_length<G>(s, wave) < serial_length<G>(s);
}

// use(kernels) with those that take the problem.
template <template <class, int> class Wavefront, template <class, int> class Serial, class S, int G, class Use>
auto with_lanes(const Sizes& s, const Use& use) {
  return takes_wavefront<Wavefront, S, G>(s) ? use(Wavefront<S, G>()) : use(Serial<S, G>());
}

template <template <class, int> class Wavefront, template <class, int> class Serial, template <class> class Wide,
          template <class> class General, class S, class Use>
auto with_kernels(const Sizes& s, const Use& use) {
  // The first tile of inputs brings the bias along: without inputs there is none.
  if constexpr (!std::is_same_v<S, double>)
    if (s.H <= warp_lanes && s.I > 0 && wanted() != Schedule::general) {
      if (s.H <= 8) return with_lanes<Wavefront, Serial, S, 8>(s, use);
      if (s.H <= 16) return with_lanes<Wavefront, Serial, S, 16>(s, use);
      return with_lanes<Wavefront, Serial, S, 32>(s, use);
    }
  const bool is_wide = s.H > warp_lanes && s.T > 0 && s.B > 0 && wanted() != Schedule::general;
  return is_wide ? use(Wide<S>()) : use(General<S>());
}

template <class S, class Use>
auto with_kernels(const Forward<S>& p, const Use& use) {
  return with_kernels<WavefrontForward, SerialForward, WideForward, GeneralForward, S>(p.size, use);
}

template <class S, class Use>
auto with_kernels(const Backward<S>& p, const Use& use) {
  return with_kernels<WavefrontBackward, SerialBackward, WideBackward, GeneralBackward, S>(p.size, use);
}

}  // namespace

const char* schedules() { return "general serial wavefront wide"; }

template <class S>
size_t forward_workspace(const Forward<S>& p) {
  return with_kernels(p, [&](auto kernels) { return kernels.workspace(p); });
}

template <class S>
size_t backward_workspace(const Backward<S>& p) {
  return with_kernels(p, [&](auto kernels) { return kernels.workspace(p); });
}

template <class S>
const char* forward(const Forward<S>& p, const Context& context, void* workspace) {
  return with_kernels(p, [&](auto kernels) { return kernels.launch(p, context, workspace); });
}

template <class S>
const char* backward(const Backward<S>& p, const Context& context, void* workspace) {
  return with_kernels(p, [&](auto kernels) { return kernels.launch(p, context, workspace); });
}

#define RESBLOCK_INSTANTIATE(S)                                           \
  template size_t forward_workspace(const Forward<S>&);                   \
  template size_t backward_workspace(const Backward<S>&);                 \
  template const char* forward(const Forward<S>&, const Context&, void*); \
  template const char* backward(const Backward<S>&, const Context&, void*);
RESBLOCK_INSTANTIATE(float)
RESBLOCK_INSTANTIATE(double)
RESBLOCK_INSTANTIATE(bfloat16)
RESBLOCK_INSTANTIATE(float16)

}  // namespace resblock::cuda
