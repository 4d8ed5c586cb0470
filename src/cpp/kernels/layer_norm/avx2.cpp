#include "core/simd_avx2.h"
#include "kernels/layer_norm/vector.inl.h"

namespace mobileinst {

const LayerNormKernels layer_norm_f32_avx2 = {run};

}  // namespace mobileinst
