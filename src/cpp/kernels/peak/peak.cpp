#include "kernels/peak/peak.h"

#include "core/tier_table.h"

namespace mobileinst {

const PeakKernels& peak_kernels(Tier tier) {
#if defined(__x86_64__) || defined(_M_X64)
    return select_table<PeakKernels>(tier, peak_f32_ref, nullptr, &peak_f32_avx2, &peak_f32_avx512);
#elif defined(__aarch64__)
    return select_table<PeakKernels>(tier, peak_f32_ref, &peak_f32_neon, nullptr, nullptr);
#else
    return select_table<PeakKernels>(tier, peak_f32_ref, nullptr, nullptr, nullptr);
#endif
}

}  // namespace mobileinst
