// Tiles of halves: 4 or 3 rows by 32 columns.

#include "kernels/elements_fp16_neon.inc"
#include "kernels/gemm/tiles_neon.inc"
