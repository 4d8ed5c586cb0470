#pragma once

#include "kernels/convolution/convolution.h"

namespace mobileinst {

/// Matrix products of one tier: 1x1 convolutions and linear layers. Rows of the input are pixels or tokens,
/// not packed; units of work are rows of the output. The residual may be the output itself. Needs no scratch.
/// Throws std::invalid_argument if this build lacks them.
const ConvKernels& gemm_kernels(Tier tier, DType dtype = DType::Float32);

}  // namespace mobileinst
