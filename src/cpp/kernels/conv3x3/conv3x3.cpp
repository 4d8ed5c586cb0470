#include "kernels/conv3x3/conv3x3.h"

#include "core/tier_table.h"

namespace mobileinst {

const Conv3x3Kernels& conv3x3_kernels(Tier tier) {
#if defined(__x86_64__) || defined(_M_X64)
    return select_table<Conv3x3Kernels>(tier, conv3x3_f32_ref, nullptr, &conv3x3_f32_avx2,
                                        &conv3x3_f32_avx512);
#elif defined(__aarch64__)
    return select_table<Conv3x3Kernels>(tier, conv3x3_f32_ref, &conv3x3_f32_neon, nullptr, nullptr);
#else
    return select_table<Conv3x3Kernels>(tier, conv3x3_f32_ref, nullptr, nullptr, nullptr);
#endif
}

}  // namespace mobileinst
