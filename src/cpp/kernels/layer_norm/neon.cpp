#include "core/simd_neon.h"
#include "kernels/layer_norm/vector.inl.h"

namespace mobileinst {

const LayerNormKernels layer_norm_f32_neon = {run};

}  // namespace mobileinst
