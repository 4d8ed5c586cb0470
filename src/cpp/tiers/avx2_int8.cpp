// 8-bit integers on AVX2, multiplied as integers of 16 bits.

#include "kernels/convert/int8_avx2.h"
#include "kernels/pooling/int8.h"
#include "kernels/preprocess/int8.h"
#include "kernels/resize/int8_floats.h"
#include "tiers/int8_kernels.h"

namespace mobileinst {
namespace {

constexpr KernelTable make_table() {
    KernelTable table;
    add_int8_products(table);
    table.pool[DType::Int8] = &kPoolInt8;
    table.preprocess[DType::Int8] = &kPreprocessInt8;
    table.resize[DType::Int8] = &kResizeInt8;
    table.convert = &kConvertInt8Avx2;
    return table;
}

}  // namespace

constexpr KernelTable avx2_int8_kernels = make_table();

}  // namespace mobileinst
