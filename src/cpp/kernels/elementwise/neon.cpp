#include "core/simd_neon.h"
#include "kernels/elementwise/vector.inl.h"

namespace mobileinst {

const ElementwiseKernels elementwise_f32_neon = {run};

}  // namespace mobileinst
