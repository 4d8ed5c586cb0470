// clang-format off: each builds on the one before
#include "core/simd_avx512.h"
#include "core/finish.inl.h"
#include "kernels/gemm/start.inl.h"
#include "kernels/depthwise/strip_loops.inl.h"
#include "kernels/depthwise/rows.inl.h"
#include "kernels/depthwise/depthwise.inl.h"
// clang-format on

namespace mobileinst {

const DepthwiseKernels depthwise_f32_avx512 = {depthwise_packed_size, depthwise_pack, depthwise_run};

}  // namespace mobileinst
