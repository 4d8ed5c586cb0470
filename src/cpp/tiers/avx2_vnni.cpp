// AVX2 with AVX-VNNI: products of 8-bit integers. Everything else is AVX2's.

#include "tiers/int8_kernels.h"

namespace mobileinst {
namespace {

constexpr KernelTable make_table() {
    KernelTable table;
    table.base = &avx2_kernels;
    add_int8_products(table);
    return table;
}

}  // namespace

constexpr KernelTable avx2_vnni_kernels = make_table();

}  // namespace mobileinst
