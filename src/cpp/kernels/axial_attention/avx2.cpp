#include "core/simd_avx2.h"
#include "kernels/axial_attention/vector.inl.h"

namespace mobileinst {

const AxialAttentionKernels axial_attention_f32_avx2 = {squeeze, spread};

}  // namespace mobileinst
