#include "kernels/layer_norm/layer_norm.h"

#include "core/tier_table.h"

namespace mobileinst {

const LayerNormKernels& layer_norm_kernels(Tier tier) {
#if defined(__x86_64__)
    return select_table<LayerNormKernels>(tier, layer_norm_f32_ref, nullptr, &layer_norm_f32_avx2, nullptr);
#elif defined(__aarch64__)
    return select_table<LayerNormKernels>(tier, layer_norm_f32_ref, &layer_norm_f32_neon, nullptr, nullptr);
#else
    return select_table<LayerNormKernels>(tier, layer_norm_f32_ref, nullptr, nullptr, nullptr);
#endif
}

}  // namespace mobileinst
