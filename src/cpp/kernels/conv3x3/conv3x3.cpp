#include "kernels/conv3x3/conv3x3.h"

#include "core/tier_table.h"

namespace mobileinst {
namespace {

/// What the products of all tiles and the reading of the weights take, in multiply-adds for each filter.
size_t cost(size_t height, size_t width, size_t outputs) {
    // So many tiles are computed while the weights come from memory: 7 to 10 with AVX-512 and one thread.
    constexpr size_t kTilesPerReading = 8;
    const size_t inputs = outputs + 2;
    const size_t tiles = ((height + outputs - 1) / outputs) * ((width + outputs - 1) / outputs);
    return inputs * inputs * (tiles + kTilesPerReading);
}

const Conv3x3Variants& variants_of(Tier tier) {
#if defined(__x86_64__) || defined(_M_X64)
    return select_table<Conv3x3Variants>(tier, conv3x3_f32_ref, nullptr, &conv3x3_f32_avx2,
                                         &conv3x3_f32_avx512);
#elif defined(__aarch64__)
    return select_table<Conv3x3Variants>(tier, conv3x3_f32_ref, &conv3x3_f32_neon, nullptr, nullptr);
#else
    return select_table<Conv3x3Variants>(tier, conv3x3_f32_ref, nullptr, nullptr, nullptr);
#endif
}

}  // namespace

Winograd choose_winograd(size_t height, size_t width) {
    return cost(height, width, 8) < cost(height, width, 6) ? Winograd::F8x8 : Winograd::F6x6;
}

const Conv3x3Kernels& conv3x3_kernels(Tier tier, Winograd winograd) {
    const Conv3x3Variants& variants = variants_of(tier);
    return winograd == Winograd::F8x8 ? variants.f8x8 : variants.f6x6;
}

}  // namespace mobileinst
