#include "core/simd_neon.h"
#include "kernels/resize/vector.inl.h"

namespace mobileinst {

const ResizeKernels resize_f32_neon = {run};

}  // namespace mobileinst
