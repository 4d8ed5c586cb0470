// clang-format off: the order matters
#include "kernels/gemm/shape_neon.inl.h"
#include "kernels/attention/vector.inl.h"
// clang-format on

namespace mobileinst {

const AttentionKernels attention_f32_neon = {scratch_size, run};

}  // namespace mobileinst
