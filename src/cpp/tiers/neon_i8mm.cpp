// NEON of armv8.6-a with SMMLA: matrix products of 8-bit integers. Everything else is that of NEON with SDOT.

#include "kernels/conv_direct/int8.h"
#include "kernels/gemm/int8.h"
#include "kernels/kernel_table.h"

namespace mobileinst {
namespace {

constexpr KernelTable make_table() {
    KernelTable table;
    table.base = &neon_dot_kernels;
    table.conv_direct[DType::Int8] = &kConvDirectInt8;
    table.gemm[DType::Int8] = &kGemmInt8;
    return table;
}

}  // namespace

constexpr KernelTable neon_i8mm_kernels = make_table();

}  // namespace mobileinst
