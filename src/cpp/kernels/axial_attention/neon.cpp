#include "core/simd_neon.h"
#include "kernels/axial_attention/vector.inl.h"

namespace mobileinst {

const AxialAttentionKernels axial_attention_f32_neon = {squeeze, spread};

}  // namespace mobileinst
