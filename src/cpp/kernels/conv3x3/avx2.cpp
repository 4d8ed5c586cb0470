// clang-format off: the order matters
#include "kernels/gemm/shape_avx2.inl.h"
#include "kernels/conv3x3/winograd.inl.h"
// clang-format on

namespace mobileinst {

const Conv3x3Kernels conv3x3_f32_avx2 = {winograd_packed_size, winograd_pack, winograd_scratch_size,
                                         winograd_units, winograd_run};

}  // namespace mobileinst
