#include "kernels/resize/resize.h"

#include "core/tier_table.h"

namespace mobileinst {

const ResizeKernels& resize_kernels(Tier tier) {
#if defined(__x86_64__)
    return select_table<ResizeKernels>(tier, resize_f32_ref, nullptr, &resize_f32_avx2, nullptr);
#elif defined(__aarch64__)
    return select_table<ResizeKernels>(tier, resize_f32_ref, &resize_f32_neon, nullptr, nullptr);
#else
    return select_table<ResizeKernels>(tier, resize_f32_ref, nullptr, nullptr, nullptr);
#endif
}

}  // namespace mobileinst
