#include "kernels/attention/attention.h"

#include "core/tier_table.h"

namespace mobileinst {

const AttentionKernels& attention_kernels(Tier tier) {
#if defined(__x86_64__)
    return select_table<AttentionKernels>(tier, attention_f32_ref, nullptr, &attention_f32_avx2,
                                          &attention_f32_avx512);
#elif defined(__aarch64__)
    return select_table<AttentionKernels>(tier, attention_f32_ref, &attention_f32_neon, nullptr, nullptr);
#else
    return select_table<AttentionKernels>(tier, attention_f32_ref, nullptr, nullptr, nullptr);
#endif
}

}  // namespace mobileinst
