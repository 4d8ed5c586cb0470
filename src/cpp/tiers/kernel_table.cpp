#include "kernels/kernel_table.h"

#include <stdexcept>
#include <string>

namespace mobileinst {

const KernelTable* table_of(Tier tier) {
    switch (tier) {
        case Tier::Ref:
            return &ref_kernels;
#if defined(__x86_64__)
        case Tier::Avx2:
            return &avx2_kernels;
        case Tier::Avx512:
            return &avx512_kernels;
#elif defined(__aarch64__)
        case Tier::Neon:
            return &neon_kernels;
#endif
        default:
            return nullptr;
    }
}

void throw_no_kernels(Tier tier) {
    throw std::invalid_argument(std::string("this build lacks a kernel for the tier '") + tier_name(tier) +
                                "'");
}

}  // namespace mobileinst
