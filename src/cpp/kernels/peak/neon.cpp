// clang-format off: the order matters
#include "core/simd_neon.h"
#include "kernels/peak/peak.inl.h"
// clang-format on

#include "kernels/peak/peak.h"

namespace mobileinst {

const PeakKernels peak_f32_neon = {peak_run, kPeakOperations};

}  // namespace mobileinst
