// AVX-512 with VNNI and VBMI: products of 8-bit integers. Everything else is AVX-512's.

#include "kernels/pooling/int8.h"
#include "kernels/preprocess/int8.h"
#include "kernels/resize/int8_avx512_vnni.h"
#include "tiers/int8_kernels.h"

namespace mobileinst {
namespace {

constexpr KernelTable make_table() {
    KernelTable table;
    table.base = &avx512_kernels;
    add_int8_products(table);
    table.pool[DType::Int8] = &kPoolInt8;
    table.preprocess[DType::Int8] = &kPreprocessInt8;
    table.resize[DType::Int8] = &kResizeInt8;
    table.convert = &kConvert;
    return table;
}

}  // namespace

constexpr KernelTable avx512_vnni_kernels = make_table();

}  // namespace mobileinst
