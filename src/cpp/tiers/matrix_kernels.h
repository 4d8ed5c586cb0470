#pragma once

// The kernels around the tiles of the matrix product and the strips of depthwise convolution, whose shapes
// depend on the number and width of the registers.

#include "kernels/attention/vector.h"
#include "kernels/conv3x3/vector.h"
#include "kernels/conv_direct/vector.h"
#include "kernels/depthwise/vector.h"
#include "kernels/gemm/vector.h"
#include "kernels/inverted_residual/vector.h"
#include "kernels/kernel_table.h"
#include "kernels/peak/vector.h"

namespace mobileinst {
namespace {

constexpr void add_matrix_kernels(KernelTable& table) {
    constexpr DType f32 = DType::Float32;
    table.attention[f32] = &kAttention;
    table.conv3x3[f32] = &kConv3x3;
    table.conv_direct[f32] = &kConvDirect;
    table.depthwise[f32] = &kDepthwise;
    table.gemm[f32] = &kGemm;
    table.inverted_residual[f32] = &kInvertedResidual;
    table.peak[f32] = &kPeak;
}

}  // namespace
}  // namespace mobileinst
