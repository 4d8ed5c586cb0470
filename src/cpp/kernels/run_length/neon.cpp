#include "core/simd_neon.h"
#include "kernels/run_length/vector.inl.h"

namespace mobileinst {

const RunLengthKernels run_length_f32_neon = {above, crossings, maskness_row};

}  // namespace mobileinst
