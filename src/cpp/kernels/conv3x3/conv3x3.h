#pragma once

#include <cstddef>
#include <cstdint>

#include "core/activation.h"
#include "core/dtype.h"
#include "core/tier.h"

namespace mobileinst {

/// A dense 3x3 convolution, stride 1, zero padding 1, of one NHWC image. Output must not overlap input.
struct Conv3x3Args {
    const float* input = nullptr;   ///< (height, width, in_channels)
    size_t input_ld = 0;            ///< floats from one pixel to the next, >= in_channels
    const float* packed = nullptr;  ///< weights, from pack()
    float* output = nullptr;        ///< (height, width, out_channels)
    size_t output_ld = 0;           ///< >= out_channels
    size_t height = 0, width = 0, in_channels = 0, out_channels = 0;  ///< each >= 1
    Epilogue epilogue;
};

/// Dense 3x3 convolution of one tier: by Winograd's minimal filtering (Lavin and Gray, 2016, arXiv
/// 1509.09308), block of tiles by block of tiles in cache; `Ref` is direct.
struct Conv3x3Kernels {
    /// Floats that pack() writes. The layout (and the transformed domain) belongs to tier and variant.
    size_t (*packed_size)(size_t in_channels, size_t out_channels);
    /// Packs weights (out_channels, in_channels, 3, 3), contiguous.
    void (*pack)(const float* weight, size_t in_channels, size_t out_channels, float* packed);
    /// Floats of scratch that one run() needs; concurrent runs need one each, 64-byte aligned.
    size_t (*scratch_size)(size_t in_channels, size_t out_channels);
    /// Number of work units (tiles, or rows for `Ref`).
    size_t (*units)(const Conv3x3Args& args);
    /// Computes units [begin, end). Any split gives the same bits; the packed weights are read once per call
    /// and block of tiles, so few long ranges are much faster than many short ones: one per thread.
    void (*run)(const Conv3x3Args& args, size_t begin, size_t end, float* scratch);
};

/// The outputs on each side of Winograd's tiles. Larger tiles need fewer multiply-adds per output
/// (2.25, 1.78, 1.56), but cover small maps worse, have more weights to read (36, 64, 100 for each filter's
/// 9), and are less exact: for outputs of a few units the largest error of F8x8 is 5e-4, of the others 1e-4.
/// `Ref` has the same for all.
enum class Winograd : uint8_t {
    F4x4 = 4,  ///< F(4x4, 3x3)
    F6x6 = 6,  ///< F(6x6, 3x3)
    F8x8 = 8,  ///< F(8x8, 3x3)
};

/// The fastest one for a map of that size.
Winograd choose_winograd(size_t height, size_t width);

struct Conv3x3Variants {
    Conv3x3Kernels f4x4, f6x6, f8x8;
};

/// The kernels of a tier; both throw std::invalid_argument if this build lacks them.
const Conv3x3Variants& conv3x3_variants(Tier tier, DType dtype = DType::Float32);
const Conv3x3Kernels& conv3x3_kernels(Tier tier, Winograd winograd, DType dtype = DType::Float32);

}  // namespace mobileinst
