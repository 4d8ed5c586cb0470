#pragma once

#include <stdexcept>

#include "core/tier.h"

namespace mobileinst {

/// Picks the table of a tier; null where the operation has none in this build. A missing AVX-512 version is
/// served by AVX2, which every AVX-512 machine runs too. Throws std::invalid_argument if nothing serves.
template <typename Table>
const Table& select_table(Tier tier, const Table& ref, const Table* neon, const Table* avx2,
                          const Table* avx512) {
    const Table* chosen = nullptr;
    switch (tier) {
        case Tier::Ref:
            chosen = &ref;
            break;
        case Tier::Neon:
            chosen = neon;
            break;
        case Tier::Avx2:
            chosen = avx2;
            break;
        case Tier::Avx512:
            chosen = avx512 != nullptr ? avx512 : avx2;
            break;
    }
    if (chosen == nullptr) {
        throw std::invalid_argument("this build has no kernels for the requested tier");
    }
    return *chosen;
}

}  // namespace mobileinst
