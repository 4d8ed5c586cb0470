#pragma once

#include <cstddef>
#include <cstdint>

#include "kernels/convolution/convolution.h"

namespace mobileinst {

/// The outputs on each side of Winograd's tiles. Larger tiles need fewer multiply-adds per output
/// (2.25, 1.78, 1.56), but cover small maps worse, have more weights to read (36, 64, 100 for each filter's
/// 9), and are less exact: for outputs of a few units the largest error of F8x8 is 5e-4, of the others 1e-4.
/// `Ref` has the same for all, and halves have F(4x4) for all, whose error is twice that of direct sums in
/// halves (0.7 and 0.35 % of the outputs' rms with 128 channels); F(6x6) has 3 % at best.
enum class Winograd : uint8_t {
    F4x4 = 4,  ///< F(4x4, 3x3)
    F6x6 = 6,  ///< F(6x6, 3x3)
    F8x8 = 8,  ///< F(8x8, 3x3)
};

/// The fastest one for a map of that size and type of elements.
Winograd choose_winograd(size_t height, size_t width, DType dtype = DType::Float32);

/// Dense 3x3 convolutions of one tier, stride 1, padding 1: by Winograd's minimal filtering (Lavin and Gray,
/// 2016, arXiv 1509.09308), block of tiles by block of tiles in cache; `Ref` is direct.
struct Conv3x3Variants {
    ConvKernels f4x4, f6x6, f8x8;
};
const ConvKernels& conv3x3_kernels(Tier tier, Winograd winograd, DType dtype = DType::Float32);

}  // namespace mobileinst
