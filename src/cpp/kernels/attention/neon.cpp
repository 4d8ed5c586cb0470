#include "core/simd_neon.h"
#include "kernels/attention/vector.inl.h"

namespace mobileinst {

const AttentionKernels attention_f32_neon = {scratch_size, run};

}  // namespace mobileinst
