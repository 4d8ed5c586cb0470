#include "core/simd_avx2.h"
#include "kernels/pooling/vector.inl.h"

namespace mobileinst {

const PoolKernels pool_f32_avx2 = {pool<true>, pool<false>};

}  // namespace mobileinst
