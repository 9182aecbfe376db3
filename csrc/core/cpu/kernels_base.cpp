#define RESBLOCK_ISA portable
#define RESBLOCK_TILE_ROWS 4
#include "core/cpu/kernels.inl"
