// clang-format off: each builds on the one before
#include "core/simd_avx512.h"
#include "core/finish.inl.h"
// clang-format on

namespace mobileinst {
namespace {

// 8 x 2 sums.
constexpr int kPixels = 8;
constexpr size_t kPanelVectors = 2;

}  // namespace
}  // namespace mobileinst

#include "kernels/conv_direct/conv_direct.inl.h"

namespace mobileinst {

const ConvDirectKernels conv_direct_f32_avx512 = {direct_packed_size, direct_pack, direct_run};

}  // namespace mobileinst
