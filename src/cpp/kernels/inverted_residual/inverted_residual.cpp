#include "kernels/inverted_residual/inverted_residual.h"

#include "core/tier_table.h"

namespace mobileinst {

const InvertedResidualKernels& inverted_residual_kernels(Tier tier) {
#if defined(__x86_64__) || defined(_M_X64)
    return select_table<InvertedResidualKernels>(tier, inverted_residual_f32_ref, nullptr,
                                                 &inverted_residual_f32_avx2, &inverted_residual_f32_avx512);
#elif defined(__aarch64__)
    return select_table<InvertedResidualKernels>(tier, inverted_residual_f32_ref, &inverted_residual_f32_neon,
                                                 nullptr, nullptr);
#else
    return select_table<InvertedResidualKernels>(tier, inverted_residual_f32_ref, nullptr, nullptr, nullptr);
#endif
}

}  // namespace mobileinst
