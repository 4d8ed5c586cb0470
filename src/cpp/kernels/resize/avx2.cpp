#include "core/simd_avx2.h"
#include "kernels/resize/vector.inl.h"

namespace mobileinst {

const ResizeKernels resize_f32_avx2 = {run};

}  // namespace mobileinst
