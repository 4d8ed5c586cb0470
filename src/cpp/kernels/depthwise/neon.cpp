// clang-format off: each builds on the one before
#include "core/simd_neon.h"
#include "core/finish.inl.h"
// clang-format on

namespace mobileinst {
namespace {

constexpr int kPixels = 4;

}  // namespace
}  // namespace mobileinst

#include "kernels/depthwise/depthwise.inl.h"

namespace mobileinst {

const DepthwiseKernels depthwise_f32_neon = {depthwise_packed_size, depthwise_pack, depthwise_run};

}  // namespace mobileinst
