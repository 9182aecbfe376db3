#define RESBLOCK_ISA_NAMESPACE x86_64_v3
#define RESBLOCK_VECTOR_BYTES 32
#define RESBLOCK_TILE_ROWS 6
#include "core/cpu/kernels.inl"
