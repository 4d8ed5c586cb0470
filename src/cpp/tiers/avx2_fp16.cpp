// Halves on AVX2 and F16C, rounded as processors with half-precision arithmetic round: for measuring
// accuracy.

#include "kernels/convert/half.h"
#include "tiers/map_kernels.h"
#include "tiers/matrix_kernels.h"

namespace mobileinst {
namespace {

constexpr KernelTable make_table() {
    KernelTable table;
    table.base = &avx2_int8_kernels;
    table.convert = &kConvertHalf;
    add_map_kernels(table);
    add_matrix_kernels(table);
    return table;
}

}  // namespace

constexpr KernelTable avx2_fp16_kernels = make_table();

}  // namespace mobileinst
