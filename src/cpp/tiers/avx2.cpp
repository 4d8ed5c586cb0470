// AVX2, FMA and F16C.

#include "tiers/float_kernels.h"

namespace mobileinst {

constexpr KernelTable avx2_kernels = float_kernels(&avx2_fp16_kernels);

}  // namespace mobileinst
