// AVX2 and FMA.

#include "tiers/map_kernels.h"
#include "tiers/matrix_kernels.h"

namespace mobileinst {
namespace {

constexpr KernelTable make_table() {
    KernelTable table;
    add_map_kernels(table);
    add_matrix_kernels(table);
    return table;
}

}  // namespace

constexpr KernelTable avx2_kernels = make_table();

}  // namespace mobileinst
