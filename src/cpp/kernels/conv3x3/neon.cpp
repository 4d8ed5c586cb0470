// clang-format off: the order matters
#include "kernels/gemm/shape_neon.inl.h"
#include "kernels/conv3x3/winograd.inl.h"
// clang-format on

namespace mobileinst {

const Conv3x3Variants conv3x3_f32_neon = {kWinogradKernels<WinogradF4>, kWinogradKernels<WinogradF6>,
                                          kWinogradKernels<WinogradF8>};

}  // namespace mobileinst
