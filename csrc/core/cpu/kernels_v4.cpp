#define RESBLOCK_ISA_NAMESPACE x86_64_v4
#define RESBLOCK_VECTOR_BYTES 64
#define RESBLOCK_TILE_ROWS 8
#include "core/cpu/kernels.inl"
