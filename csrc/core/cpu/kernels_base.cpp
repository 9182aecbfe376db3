#define RESBLOCK_ISA_NAMESPACE portable
#define RESBLOCK_VECTOR_BYTES 16
#define RESBLOCK_TILE_ROWS 4
#include "core/cpu/kernels.inl"
