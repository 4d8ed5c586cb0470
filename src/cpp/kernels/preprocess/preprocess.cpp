#include "kernels/preprocess/preprocess.h"

#include "core/tier_table.h"

namespace mobileinst {

const PreprocessKernels& preprocess_kernels(Tier tier) {
#if defined(__x86_64__)
    return select_table<PreprocessKernels>(tier, preprocess_f32_ref, nullptr, &preprocess_f32_avx2, nullptr);
#elif defined(__aarch64__)
    return select_table<PreprocessKernels>(tier, preprocess_f32_ref, &preprocess_f32_neon, nullptr, nullptr);
#else
    return select_table<PreprocessKernels>(tier, preprocess_f32_ref, nullptr, nullptr, nullptr);
#endif
}

}  // namespace mobileinst
