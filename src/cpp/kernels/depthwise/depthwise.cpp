#include "kernels/depthwise/depthwise.h"

#include "core/tier_table.h"

namespace mobileinst {

const DepthwiseKernels& depthwise_kernels(Tier tier) {
#if defined(__x86_64__) || defined(_M_X64)
    return select_table<DepthwiseKernels>(tier, depthwise_f32_ref, nullptr, &depthwise_f32_avx2,
                                          &depthwise_f32_avx512);
#elif defined(__aarch64__)
    return select_table<DepthwiseKernels>(tier, depthwise_f32_ref, &depthwise_f32_neon, nullptr, nullptr);
#else
    return select_table<DepthwiseKernels>(tier, depthwise_f32_ref, nullptr, nullptr, nullptr);
#endif
}

}  // namespace mobileinst
