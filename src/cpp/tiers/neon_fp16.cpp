// NEON of armv8.2-a with half-precision arithmetic: halves here, floats as NEON of armv8-a.

#include "kernels/convert/half.h"
#include "kernels/peak/vector.h"
#include "tiers/map_kernels.h"
#include "tiers/matrix_kernels.h"

namespace mobileinst {
namespace {

constexpr KernelTable make_table() {
    KernelTable table;
    table.base = &neon_kernels;
    table.convert = &kConvertHalf;
    add_map_kernels(table);
    add_matrix_kernels(table);
    table.peak[DType::Float16] = &kPeak;
    return table;
}

}  // namespace

constexpr KernelTable neon_fp16_kernels = make_table();

}  // namespace mobileinst
