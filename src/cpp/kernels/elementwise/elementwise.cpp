#include "kernels/elementwise/elementwise.h"

#include "core/tier_table.h"

namespace mobileinst {

const ElementwiseKernels& elementwise_kernels(Tier tier) {
#if defined(__x86_64__)
    return select_table<ElementwiseKernels>(tier, elementwise_f32_ref, nullptr, &elementwise_f32_avx2,
                                            nullptr);
#elif defined(__aarch64__)
    return select_table<ElementwiseKernels>(tier, elementwise_f32_ref, &elementwise_f32_neon, nullptr,
                                            nullptr);
#else
    return select_table<ElementwiseKernels>(tier, elementwise_f32_ref, nullptr, nullptr, nullptr);
#endif
}

}  // namespace mobileinst
