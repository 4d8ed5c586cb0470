#pragma once

// Kernels of 8-bit integers on x86, of the tier that the including file is compiled for.

#include "kernels/conv3x3/int8.h"
#include "kernels/conv_direct/int8_strips.h"
#include "kernels/depthwise/int8_columns.h"
#include "kernels/gemm/int8.h"
#include "kernels/kernel_table.h"
#include "kernels/peak/int8.h"

namespace mobileinst {
namespace {

/// What has a tier's own products.
constexpr void add_int8_products(KernelTable& table) {
    constexpr DType s8 = DType::Int8;
    table.conv3x3[s8] = &kConv3x3Int8;
    table.conv_direct[s8] = &kConvDirectInt8Strips;
    table.depthwise[s8] = &kDepthwiseInt8;
    table.gemm[s8] = &kGemmInt8;
    table.peak[s8] = &kPeakInt8;
}

}  // namespace
}  // namespace mobileinst
