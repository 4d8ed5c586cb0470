// Strips of floats.

#include "kernels/elements_fp32_neon.inc"
#include "kernels/depthwise/strips_neon.inc"
