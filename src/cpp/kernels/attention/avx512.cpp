#include "core/simd_avx512.h"
#include "kernels/attention/vector.inl.h"

namespace mobileinst {

const AttentionKernels attention_f32_avx512 = {scratch_size, run};

}  // namespace mobileinst
