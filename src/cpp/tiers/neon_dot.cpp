// NEON of armv8.2-a with SDOT: products of 8-bit integers. Everything else is that of NEON with
// half-precision arithmetic.

#include "kernels/conv_direct/int8.h"
#include "kernels/convert/int8_neon.h"
#include "kernels/depthwise/int8.h"
#include "kernels/gemm/int8.h"
#include "kernels/kernel_table.h"
#include "kernels/peak/int8.h"
#include "kernels/pooling/int8.h"
#include "kernels/preprocess/int8.h"

namespace mobileinst {
namespace {

constexpr KernelTable make_table() {
    KernelTable table;
    table.base = &neon_fp16_kernels;
    constexpr DType s8 = DType::Int8;
    table.conv_direct[s8] = &kConvDirectInt8;
    table.depthwise[s8] = &kDepthwiseInt8;
    table.gemm[s8] = &kGemmInt8;
    table.peak[s8] = &kPeakInt8;
    table.pool[s8] = &kPoolInt8;
    table.preprocess[s8] = &kPreprocessInt8;
    table.convert = &kConvertInt8Neon;
    return table;
}

}  // namespace

constexpr KernelTable neon_dot_kernels = make_table();

}  // namespace mobileinst
