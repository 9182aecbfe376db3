#define RESBLOCK_ISA x86_64_v3
#define RESBLOCK_TILE_ROWS 6
#include "core/cpu/kernels.inl"
