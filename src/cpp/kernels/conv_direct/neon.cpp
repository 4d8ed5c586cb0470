// clang-format off: each builds on the one before
#include "core/simd_neon.h"
#include "core/finish.inl.h"
// clang-format on

namespace mobileinst {
namespace {

// 4 x 4 sums, 4 weights and 1 value fill 21 of 32 registers.
constexpr int kPixels = 4;
constexpr size_t kPanelVectors = 4;

}  // namespace
}  // namespace mobileinst

#include "kernels/conv_direct/conv_direct.inl.h"

namespace mobileinst {

const ConvDirectKernels conv_direct_f32_neon = {direct_packed_size, direct_pack, direct_run};

}  // namespace mobileinst
