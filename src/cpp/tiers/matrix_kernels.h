#pragma once

// The kernels around the tiles of the matrix product and the strips of depthwise convolution, whose shapes
// depend on the number and width of the registers.

#include "kernels/conv3x3/vector.h"
#include "kernels/conv_direct/vector.h"
#include "kernels/depthwise/vector.h"
#include "kernels/gemm/vector.h"
#include "kernels/inverted_residual/vector.h"
#include "kernels/kernel_table.h"

namespace mobileinst {
namespace {

/// Those that all types of elements have.
constexpr void add_matrix_kernels(KernelTable& table) {
    table.conv3x3[kElementType] = &kConv3x3;
    table.conv_direct[kElementType] = &kConvDirect;
    table.depthwise[kElementType] = &kDepthwise;
    table.gemm[kElementType] = &kGemm;
    table.inverted_residual[kElementType] = &kInvertedResidual;
}

}  // namespace
}  // namespace mobileinst
