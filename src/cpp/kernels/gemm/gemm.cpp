#include "kernels/gemm/gemm.h"

#include "core/tier_table.h"

namespace mobileinst {

const GemmKernels& gemm_kernels(Tier tier) {
#if defined(__x86_64__) || defined(_M_X64)
    return select_table<GemmKernels>(tier, gemm_f32_ref, nullptr, &gemm_f32_avx2, &gemm_f32_avx512);
#elif defined(__aarch64__)
    return select_table<GemmKernels>(tier, gemm_f32_ref, &gemm_f32_neon, nullptr, nullptr);
#else
    return select_table<GemmKernels>(tier, gemm_f32_ref, nullptr, nullptr, nullptr);
#endif
}

}  // namespace mobileinst
