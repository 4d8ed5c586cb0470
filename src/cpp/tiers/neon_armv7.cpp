// NEON of armv7-a with VFPv4, for programs of 32 bits: Raspberry Pi 2 and newer.

#include "kernels/attention/vector.h"
#include "kernels/convert/loops.h"
#include "kernels/peak/vector.h"
#include "tiers/float_kernels.h"
#include "tiers/map_kernels.h"
#include "tiers/matrix_kernels.h"

namespace mobileinst {
namespace {

constexpr KernelTable make_table() {
    KernelTable table;
    add_float_kernels(table);
    add_map_kernels(table);
    add_matrix_kernels(table);
    table.attention[DType::Float32] = &kAttention;
    table.peak[DType::Float32] = &kPeak;
    table.convert = &kConvert;
    return table;
}

}  // namespace

constexpr KernelTable neon_armv7_kernels = make_table();

}  // namespace mobileinst
