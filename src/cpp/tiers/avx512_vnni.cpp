// AVX-512 with VNNI and VBMI: products of 8-bit integers. Everything else is AVX-512's.

#include "kernels/conv3x3/int8.h"
#include "kernels/conv_direct/int8_strips.h"
#include "kernels/depthwise/int8_columns.h"
#include "kernels/gemm/int8.h"
#include "kernels/kernel_table.h"
#include "kernels/peak/int8.h"
#include "kernels/pooling/int8.h"
#include "kernels/preprocess/int8.h"

namespace mobileinst {
namespace {

constexpr KernelTable make_table() {
    KernelTable table;
    table.base = &avx512_kernels;
    constexpr DType s8 = DType::Int8;
    table.conv3x3[s8] = &kConv3x3Int8;
    table.conv_direct[s8] = &kConvDirectInt8Strips;
    table.depthwise[s8] = &kDepthwiseInt8;
    table.gemm[s8] = &kGemmInt8;
    table.peak[s8] = &kPeakInt8;
    table.pool[s8] = &kPoolInt8;
    table.preprocess[s8] = &kPreprocessInt8;
    table.convert = &kConvert;
    return table;
}

}  // namespace

constexpr KernelTable avx512_vnni_kernels = make_table();

}  // namespace mobileinst
