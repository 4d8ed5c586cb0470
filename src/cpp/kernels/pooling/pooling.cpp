#include "kernels/pooling/pooling.h"

#include "core/tier_table.h"

namespace mobileinst {

const PoolKernels& pool_kernels(Tier tier) {
#if defined(__x86_64__)
    return select_table<PoolKernels>(tier, pool_f32_ref, nullptr, &pool_f32_avx2, nullptr);
#elif defined(__aarch64__)
    return select_table<PoolKernels>(tier, pool_f32_ref, &pool_f32_neon, nullptr, nullptr);
#else
    return select_table<PoolKernels>(tier, pool_f32_ref, nullptr, nullptr, nullptr);
#endif
}

}  // namespace mobileinst
