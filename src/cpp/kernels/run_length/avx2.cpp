#include "core/simd_avx2.h"
#include "kernels/run_length/vector.inl.h"

namespace mobileinst {

const RunLengthKernels run_length_f32_avx2 = {above, crossings, maskness_row};

}  // namespace mobileinst
