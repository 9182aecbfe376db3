#define RESBLOCK_ISA x86_64_v4
#define RESBLOCK_TILE_ROWS 8
#include "core/cpu/kernels.inl"
