// clang-format off: each builds on the one before
#include "core/simd_avx2.h"
#include "core/finish.inl.h"
// clang-format on

namespace mobileinst {
namespace {

// 6 x 2 sums, 2 weights and 1 value fill 15 of 16 registers.
constexpr int kPixels = 6;
constexpr size_t kPanelVectors = 2;

}  // namespace
}  // namespace mobileinst

#include "kernels/conv_direct/conv_direct.inl.h"

namespace mobileinst {

const ConvDirectKernels conv_direct_f32_avx2 = {direct_packed_size, direct_pack, direct_run};

}  // namespace mobileinst
