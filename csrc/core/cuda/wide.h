// The wide schedule: for layers of more units than a warp has lanes. Layer after layer, all that does not hang on the
// step before is one matrix product over all steps, by the caller's library, in the storage type; what remains is one
// kernel per layer whose blocks are resident together. Each block has some units of the layer: it has their recurrent
// weights in shared memory for all steps, and after each step gives its part to all others, through global memory and a
// counter; types of 16 bits take tensor cores for it (wide_tensor.h). Where the weights do not fit, each step is a
// matrix product by the library and a small kernel. Both directions save as the general schedule does.
//
// Here is what the planner has to know: how much memory it all takes.
#pragma once
#include <algorithm>

#include "core/cuda/memory.h"
#include "core/cuda/plan.h"
#include "core/cuda/tiles.h"

namespace resblock::cuda {

constexpr int wide_warps = 8;
constexpr int wide_threads = wide_warps * warp_lanes;
constexpr int wide_resident = 2;  // blocks that a multiprocessor has room for, which the kernels' launch bounds promise
constexpr int wide_parts = 8;     // of a sum over units, for as many threads

// Sequences in fours, so that a thread reads four states at once.
constexpr int quad = 4;
RESBLOCK_INLINE int64_t sequence_quads(const Sizes& s) { return (s.B + quad - 1) / quad; }

// Four numbers that are read together: the gates of a unit, or four sequences.
template <class A>
struct alignas(16) Quad {
  A of[quad];
};

// A thread's partial sums: each gate of each of four sequences, or of each sequence, and one more that keeps threads
// off each other's banks.
constexpr int forward_sums = quad * int(gates_of_cell), backward_sums = quad;

// A block's shared memory without tensor cores.
template <class A, int sums>
struct WideShared {
  static constexpr int stride = sums + 1;
  Quad<A>* U;  // (H, units) of four gates: the recurrent weights of the block's units
  A* partial;  // (threads, stride)

  RESBLOCK_INLINE WideShared(Memory& memory, const Sizes& s, int64_t units)
      : U(memory.take<Quad<A>>(s.H * units)), partial(memory.take<A>(wide_threads * stride)) {}
};

// And with them, where `matrices` are multiplied at once.
template <class S, int matrices>
struct TensorShared {
  S* U;                         // tiles
  CellSums<matrices>* partial;  // (warps, threads)

  RESBLOCK_INLINE TensorShared(Memory& memory, const Sizes& s, int64_t units)
      : U(memory.take<S>(tensor_weights(s, units))),
        partial(memory.take<CellSums<matrices>>(wide_warps * wide_threads)) {}
};

// Flags, and what blocks exchange, of which tiles may be filled in part: zero at the start.
template <class S>
struct Exchanged {
  S* numbers;
  int* flags;  // (blocks,)
  int* words;  // all of it
  int64_t word_count;

  RESBLOCK_INLINE Exchanged(Memory& memory, int64_t count, int64_t blocks)
      : words(reinterpret_cast<int*>(memory.next)) {
    numbers = memory.take<S>(count);
    flags = memory.take<int>(blocks);
    word_count = reinterpret_cast<int*>(memory.next) - words;
  }
};

// A matrix that meets a product is of the storage type.
template <class S, class A = Arithmetic<S>>
struct WideForwardWorkspace {
  S* x;            // (T B, inputs)
  S* z;            // (T B, 4H)
  S* z_h;          // (B, 4H)  U h[t-1], step by step
  A* y[2];         // (T B, H)  of the layer at hand and the one below; which is which changes from layer to layer
  A* c;            // (H, 4 quads); on tensor cores and step by step (B, H)
  Exchanged<S> h;  // (2, H, 4 quads)  h[t-1] and h[t]; on tensor cores (2, tiles); step by step (B, H)

  WideForwardWorkspace(Memory& memory, const Sizes& s, const Partition& partition)
      : x(memory.take<S>(s.T * s.B * std::max(s.I, s.H))),
        z(memory.take<S>(s.T * s.B * gates_of_cell * s.H)),
        z_h(memory.take<S>(partition.blocks ? 0 : s.B * gates_of_cell * s.H)),
        y{memory.take<A>(s.T * s.B * s.H), memory.take<A>(s.T * s.B * s.H)},
        c(memory.take<A>(s.H * sequence_quads(s) * quad)),
        h(memory, 2 * (on_tensor_cores<S> ? Exchange(s).numbers(1) : s.H * sequence_quads(s) * quad),
          partition.blocks) {}
};

template <class S, class A = Arithmetic<S>>
struct WideBackwardWorkspace {
  S* x;                    // (T B, inputs)
  S* dx;                   // (T B, H)
  S* dz;                   // (T B, 4H)
  S* h_before;             // (T B, H)
  A* dy[2];                // (T B, H)  gradient of y of the layer at hand and of the one above; which is which changes
  A* dc;                   // (H, 4 quads); on tensor cores and step by step (B, H)
  S* dh;                   // (B, H)  U^T dz of the step after, step by step
  Exchanged<S> exchanged;  // (2, 4, H, 4 quads)  dz of this step and of the next; on tensor cores (2, tiles)

  WideBackwardWorkspace(Memory& memory, const Sizes& s, const Partition& partition)
      : x(memory.take<S>(s.T * s.B * std::max(s.I, s.H))),
        dx(memory.take<S>(s.T * s.B * s.H)),
        dz(memory.take<S>(s.T * s.B * gates_of_cell * s.H)),
        h_before(memory.take<S>(s.T * s.B * s.H)),
        dy{memory.take<A>(s.T * s.B * s.H), memory.take<A>(s.T * s.B * s.H)},
        dc(memory.take<A>(s.H * sequence_quads(s) * quad)),
        dh(memory.take<S>(partition.blocks ? 0 : s.B * s.H)),
        exchanged(memory,
                  !partition.blocks    ? 0
                  : on_tensor_cores<S> ? 2 * Exchange(s).numbers(gates_of_cell)
                                       : 2 * gates_of_cell * s.H * sequence_quads(s) * quad,
                  partition.blocks) {}
};

}  // namespace resblock::cuda
