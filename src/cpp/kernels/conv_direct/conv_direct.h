#pragma once

#include "kernels/convolution/convolution.h"

namespace mobileinst {

/// Direct convolutions of one tier with any stride and groups, vectorised over output channels: the network's
/// first layer, dense kernels at stride 2, and whatever has no kernel of its own. Needs no scratch. Throws
/// std::invalid_argument if this build lacks them.
const ConvKernels& conv_direct_kernels(Tier tier, DType dtype = DType::Float32);

}  // namespace mobileinst
