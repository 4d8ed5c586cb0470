#include "kernels/conv3x3/conv3x3.h"

#include <stdexcept>

#include "kernels/kernel_table.h"

namespace mobileinst {
namespace {

/// What the products of all tiles and the reading of the weights take, in multiply-adds for each filter.
size_t cost(size_t height, size_t width, Winograd winograd) {
    // So many tiles are computed while the weights come from memory: 7 to 10 with AVX-512 and one thread.
    constexpr size_t kTilesPerReading = 8;
    const auto outputs = static_cast<size_t>(winograd), inputs = outputs + 2;
    const size_t tiles = ((height + outputs - 1) / outputs) * ((width + outputs - 1) / outputs);
    return inputs * inputs * (tiles + kTilesPerReading);
}

}  // namespace

Winograd choose_winograd(size_t height, size_t width, DType dtype) {
    if (dtype != DType::Float32) {
        return Winograd::F4x4;
    }
    Winograd best = Winograd::F6x6;
    for (const Winograd other : {Winograd::F4x4, Winograd::F8x8}) {
        best = cost(height, width, other) < cost(height, width, best) ? other : best;
    }
    return best;
}

const ConvKernels& conv3x3_kernels(Tier tier, Winograd winograd, DType dtype) {
    const Conv3x3Variants& variants = kernels_of(tier, &KernelTable::conv3x3, dtype);
    switch (winograd) {
        case Winograd::F4x4:
            return variants.f4x4;
        case Winograd::F6x6:
            return variants.f6x6;
        case Winograd::F8x8:
            return variants.f8x8;
    }
    throw std::logic_error("unknown Winograd variant");
}

}  // namespace mobileinst
