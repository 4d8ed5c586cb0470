#include "kernels/conv_direct/conv_direct.h"

#include "core/tier_table.h"

namespace mobileinst {

const ConvDirectKernels& conv_direct_kernels(Tier tier) {
#if defined(__x86_64__) || defined(_M_X64)
    return select_table<ConvDirectKernels>(tier, conv_direct_f32_ref, nullptr, &conv_direct_f32_avx2,
                                           &conv_direct_f32_avx512);
#elif defined(__aarch64__)
    return select_table<ConvDirectKernels>(tier, conv_direct_f32_ref, &conv_direct_f32_neon, nullptr,
                                           nullptr);
#else
    return select_table<ConvDirectKernels>(tier, conv_direct_f32_ref, nullptr, nullptr, nullptr);
#endif
}

}  // namespace mobileinst
