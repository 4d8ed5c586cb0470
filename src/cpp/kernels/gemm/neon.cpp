// clang-format off: the order matters
#include "kernels/gemm/shape_neon.inl.h"
#include "kernels/gemm/gemm.inl.h"
// clang-format on

namespace mobileinst {

const GemmKernels gemm_f32_neon = {gemm_packed_size, gemm_pack, gemm_run, kRowTile};

}  // namespace mobileinst
