// Strips of halves.

#include "kernels/elements_fp16_neon.inc"
#include "kernels/depthwise/strips_neon.inc"
