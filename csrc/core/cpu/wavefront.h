// The schedule of few sequences and many small layers. The layers of a group lie side by side in the lanes of a vector,
// each one step behind the layer before it: T L dependent steps become T + L. Groups run in pairs over chunks of time,
// the products of one between the nonlinear parts of the other; threads take a share of the pairs each, chunk by chunk.
// Forward only, without dropout and with nothing kept for a backward pass. One layer's outputs over all time are the
// only memory that grows with T.
#pragma once
#include "core/cpu/packed.h"

namespace resblock::cpu {

// How the work is cut. The segments depend on the threads: no number does, because each cell is computed on its own.
struct WavefrontCut {
  int64_t steps;     // of a chunk of time
  int64_t chunks;    // as many as the longest sequence needs
  int64_t segments;  // of the layers: tasks that run side by side
};

// Sizes are counted in Arithmetic<S>; weights and workspaces begin at multiples of 64 bytes.
template <class S>
struct WavefrontKernels {
  using A = Arithmetic<S>;
  int64_t units;                   // of a layer, at most
  int64_t (*parts)(const Sizes&);  // that the layers can be cut into, at most
  int64_t (*weights_size)(const Sizes&);
  int64_t (*workspace)(const Sizes&, const WavefrontCut&);  // of one sequence
  void (*pack)(const Inputs<S>&, A* weights);
  // Chunk 0 of segment 0 comes first: it sets the sequence up. Then chunk c of segment s wants chunk c of segment s-1
  // and chunk c-1 of segment s to be done.
  void (*forward)(const Forward<S>&, const WavefrontCut&, const A* weights, int64_t sequence, int64_t segment,
                  int64_t chunk, A* workspace);
};

}  // namespace resblock::cpu
