#include "core/simd_avx2.h"
#include "kernels/elementwise/vector.inl.h"

namespace mobileinst {

const ElementwiseKernels elementwise_f32_avx2 = {run};

}  // namespace mobileinst
