// What each schedule and direction takes from its workspace besides the scratch of its kernels. A plan counts it, and a
// run takes it, with the same lines.
#pragma once
#include "core/cpu/batched.h"
#include "core/cpu/layerwise.h"
#include "core/cpu/wavefront.h"

namespace resblock::cpu {

// As much scratch for each of some workers, tiles or sequences.
struct Scratch {
  char* first;
  int64_t each;

  Scratch(int64_t count, int64_t each, Arena& arena) : first(arena.take<char>(count * each)), each(each) {}
  void* of(int64_t index) const { return first + index * each; }
};

// Bytes that `Arrays` takes from an arena, given what it is made of.
template <class Arrays, class... From>
int64_t bytes_of(const From&... from) {
  Arena arena{nullptr};
  Arrays(from..., arena);
  return arena.used;
}

// Segments of a tile share its scratch; else a worker's serves one tile after the other.
inline int64_t tiles_at_once(const Partition& partition) {
  return partition.segments > 1 ? partition.blocks : partition.workers;
}

template <class A>
struct BatchedForwardArrays {
  A* packed;
  Scratch scratch;

  BatchedForwardArrays(const Sizes& s, const Partition& partition, Arena& arena)
      : packed(arena.take<A>(UnitPairs::of_all_layers(s))),
        scratch(tiles_at_once(partition), bytes_of<ForwardTileScratch<A>>(s, partition, partition.segments - 1),
                arena) {}
};

template <class A>
struct BatchedBackwardArrays {
  A *packed, *gradients;  // gradients: (groups, packed_size)
  Scratch scratch;

  BatchedBackwardArrays(const Sizes& s, const Partition& partition, Arena& arena)
      : packed(arena.take<A>(packed_size(s))),
        gradients(arena.take<A>(partition.groups * packed_size(s))),
        scratch(tiles_at_once(partition), bytes_of<BackwardTileScratch<A>>(s, partition, partition.segments - 1),
                arena) {}
};

template <class A>
struct LayerwiseForwardArrays {
  A* packed = nullptr;
  Scratch scratch;

  LayerwiseForwardArrays(const Sizes& s, const Partition& partition, Arena& arena)
      : packed(partition.packing == Packing::ahead ? arena.take<A>(packed_before<A>(s, partition, s.L)) : nullptr),
        scratch(partition.workers, bytes_of<ForwardBlockScratch<A>>(s, partition), arena) {}
};

// The gradients of a single group are summed in those of the problem.
template <class A>
struct LayerwiseBackwardArrays {
  A *packed, *gradients;  // gradients: (groups, packed_size)
  Scratch scratch;

  LayerwiseBackwardArrays(const Sizes& s, const Partition& partition, Arena& arena)
      : packed(partition.packing == Packing::ahead ? arena.take<A>(packed_before<A>(s, partition, s.L)) : nullptr),
        gradients(partition.groups == 1 && sizeof(A) == sizeof(A) ? nullptr
                                                                  : arena.take<A>(partition.groups * packed_size(s))),
        scratch(partition.workers, bytes_of<BackwardBlockScratch<A>>(s, partition), arena) {}
};

template <class A>
struct WavefrontArrays {
  void* weights;
  Scratch scratch;

  WavefrontArrays(const WaveShape& shape, const Sizes& s, const Partition& partition, Arena& arena)
      : weights(arena.take<char>(bytes_of<WaveWeights<A>>(shape, s))),
        scratch(partition.blocks, bytes_of<WaveScratch<A>>(shape, s, partition), arena) {}
};

}  // namespace resblock::cpu
