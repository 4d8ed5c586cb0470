#include "kernels/transpose/transpose.h"

#include "core/tier_table.h"

namespace mobileinst {

const TransposeKernels& transpose_kernels(Tier tier) {
#if defined(__x86_64__)
    return select_table<TransposeKernels>(tier, transpose_f32_ref, nullptr, &transpose_f32_avx2, nullptr);
#elif defined(__aarch64__)
    return select_table<TransposeKernels>(tier, transpose_f32_ref, &transpose_f32_neon, nullptr, nullptr);
#else
    return select_table<TransposeKernels>(tier, transpose_f32_ref, nullptr, nullptr, nullptr);
#endif
}

}  // namespace mobileinst
