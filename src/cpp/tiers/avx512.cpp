// AVX-512: F, VL, DQ and BW. Kernels that wait for memory are AVX2's.

#include "kernels/attention/vector.h"
#include "kernels/peak/vector.h"
#include "tiers/matrix_kernels.h"

namespace mobileinst {
namespace {

constexpr KernelTable make_table() {
    KernelTable table;
    table.base = &avx2_kernels;
    add_matrix_kernels(table);
    table.attention[DType::Float32] = &kAttention;
    table.peak[DType::Float32] = &kPeak;
    return table;
}

}  // namespace

constexpr KernelTable avx512_kernels = make_table();

}  // namespace mobileinst
