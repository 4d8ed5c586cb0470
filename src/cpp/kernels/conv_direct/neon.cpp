// clang-format off: each builds on the one before
#include "kernels/gemm/shape_neon.inl.h"
#include "kernels/conv_direct/conv_direct.inl.h"
// clang-format on

namespace mobileinst {

const ConvDirectKernels conv_direct_f32_neon = {direct_packed_size, direct_pack, direct_run};

}  // namespace mobileinst
