#pragma once

#include "kernels/convolution/convolution.h"

namespace mobileinst {

/// Depthwise convolutions of one tier; kernels 3 and 5 at strides 1 and 2 have their own loops. Needs no
/// scratch. Throws std::invalid_argument if this build lacks them.
const ConvKernels& depthwise_kernels(Tier tier, DType dtype = DType::Float32);

}  // namespace mobileinst
