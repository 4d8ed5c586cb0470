#pragma once

#include <cstddef>

#include "core/activation.h"
#include "core/dtype.h"
#include "core/tier.h"

namespace mobileinst {

/// A depthwise convolution (one filter per channel) of one NHWC image, zero padding kernel/2.
/// Output must not overlap input.
struct DepthwiseArgs {
    const float* input = nullptr;                ///< (height, width, channels)
    size_t input_ld = 0;                         ///< floats from one pixel to the next, >= channels
    const float* packed = nullptr;               ///< weights, from pack()
    float* output = nullptr;                     ///< (out_height(), out_width(), channels)
    size_t output_ld = 0;                        ///< >= channels
    size_t height = 0, width = 0, channels = 0;  ///< each >= 1
    size_t kernel = 3;                           ///< odd
    size_t stride = 1;                           ///< >= 1
    Epilogue epilogue;

    size_t out_height() const { return (height - 1) / stride + 1; }
    size_t out_width() const { return (width - 1) / stride + 1; }
};

/// Depthwise convolution of one tier; kernels 3 and 5 at strides 1 and 2 have their own loops.
struct DepthwiseKernels {
    /// Floats that pack() writes.
    size_t (*packed_size)(size_t channels, size_t kernel);
    /// Packs weights (channels, 1, kernel, kernel), contiguous.
    void (*pack)(const float* weight, size_t channels, size_t kernel, float* packed);
    /// Computes output rows [begin, end) of [0, out_height()). Any split gives the same bits. Needs no
    /// scratch.
    void (*run)(const DepthwiseArgs& args, size_t begin, size_t end);
};

/// The kernels of a tier; throws std::invalid_argument if this build lacks them.
const DepthwiseKernels& depthwise_kernels(Tier tier, DType dtype = DType::Float32);

}  // namespace mobileinst
