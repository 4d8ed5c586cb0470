// Tiles of floats: 4 or 3 rows by 16 columns.

#include "kernels/elements_fp32_neon.inc"
#include "kernels/gemm/tiles_neon.inc"
