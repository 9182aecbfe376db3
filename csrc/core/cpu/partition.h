// How a schedule shares out its work, free of everything else: kernels are compiled with it for each instruction set.
#pragma once
#include <stdint.h>

namespace resblock::cpu {

// How the layerwise schedule reads weights. Packing costs a pass over them: it is left out where they are used too
// rarely, and is done layer by layer where there is one block and one chunk, so that a layer is used while it is in the
// caches.
enum class Packing { none, ahead, by_layer };

// What the products of the layerwise schedule multiply: numbers of the type that is computed in, or numbers rounded to
// bfloat16, with the instructions of that name. Sums are in the type that is computed in.
enum class Products { full, avx512_bf16, amx_bf16 };

// In the backward pass blocks and groups follow from the sizes and the instruction set alone, never from the number of
// threads, as gradients are summed block by block. Segments and workers change no number: each cell is computed alike.
struct Partition {
  int64_t sequences = 1;  // of a block: side by side in the lanes of a vector, or the rows of a product
  int64_t blocks = 0;
  int64_t steps = 1;     // of a chunk of time, where all of a block run
  int64_t rows = 1;      // of a chunk: as many steps of sequences
  int64_t chunks = 1;    // of time
  int64_t segments = 1;  // of the layers: tasks that run side by side where blocks are few
  int64_t groups = 1;    // of blocks, whose weight gradients are summed apart and then added in order
  int64_t workers = 1;   // that share out the blocks, or the groups, and have a workspace each
  Packing packing = Packing::ahead;
  Products products = Products::full;
  bool far_weights = false;  // a layer's recurrent weights are larger than the second-level cache
  bool cells = false;        // c of every step is wanted
};

}  // namespace resblock::cpu
