// clang-format off: each builds on the one before
#include "kernels/gemm/shape_avx512.inl.h"
#include "kernels/gemm/gemm.inl.h"
#include "kernels/depthwise/strip_loops.inl.h"
#include "kernels/depthwise/rows.inl.h"
#include "kernels/inverted_residual/inverted_residual.inl.h"
// clang-format on

namespace mobileinst {

const InvertedResidualKernels inverted_residual_f32_avx512 = {
    inverted_residual_scratch_size, inverted_residual_run, inverted_residual_runs_on};

}  // namespace mobileinst
