#include "core/simd_avx2.h"
#include "kernels/attention/vector.inl.h"

namespace mobileinst {

const AttentionKernels attention_f32_avx2 = {scratch_size, run};

}  // namespace mobileinst
