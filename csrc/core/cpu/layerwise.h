// The general schedule: a block of sequences goes through the network in chunks of time, layer after layer.
// In a chunk the products with the inputs of a layer are one matrix product, the recurrence is one small product
// and the cell per step. It takes every size; what it needs of memory does not grow with T.
#pragma once
#include "core/cpu/packed.h"
#include "core/cpu/plan.h"

namespace resblock::cpu {

// Packing costs a pass over the weights: it is left out where they are used too rarely, and is done layer by layer
// where there is one block and one chunk, so that a layer is used while it is in the caches.
enum class LayerwiseWeights { in_place, packed_ahead, packed_in_turn };

// How the work is cut: in the backward pass by the sizes alone, never by the number of threads, as gradients are summed
// block by block. Rows of the forward pass do not meet.
struct Blocking {
  int64_t sequences;  // of a block
  int64_t blocks;
  int64_t steps;   // of a chunk of time
  int64_t groups;  // of blocks, whose weight gradients are summed apart and then added in order
  LayerwiseWeights weights;
  bool far_weights;  // a layer's recurrent weights are larger than the second-level cache
};

// Workspaces and gradients are counted in Arithmetic<S>.
template <class S>
struct LayerwiseKernels {
  using A = Arithmetic<S>;
  void (*pack_forward)(const Inputs<S>&, int64_t layer, A* packed);
  void (*pack_backward)(const Inputs<S>&, int64_t layer, A* packed);
  int64_t (*forward_workspace)(const Sizes&, const Blocking&);
  int64_t (*backward_workspace)(const Sizes&, const Blocking&);
  // `packed` is null but for weights packed ahead.
  // The threads given share the products of the block, or of the group.
  void (*forward_block)(const Forward<S>&, const Parallel&, const Blocking&, const A* packed, int64_t block,
                        A* workspace);
  // Sums the weight gradients of the group's blocks into `gradients` (packed_size), or, where that is null and S is
  // Arithmetic<S>, into those of the problem.
  void (*backward_group)(const Backward<S>&, const Parallel&, const Blocking&, const A* packed, int64_t group,
                         A* gradients, A* workspace);
};

}  // namespace resblock::cpu
