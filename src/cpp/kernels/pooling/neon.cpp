#include "core/simd_neon.h"
#include "kernels/pooling/vector.inl.h"

namespace mobileinst {

const PoolKernels pool_f32_neon = {pool<true>, pool<false>};

}  // namespace mobileinst
