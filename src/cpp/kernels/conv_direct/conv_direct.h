#pragma once

#include <cstddef>

#include "core/activation.h"
#include "core/dtype.h"
#include "core/row_ring.h"
#include "core/tier.h"

namespace mobileinst {

/// A convolution of one NHWC image with square odd kernel, any stride and groups, zero padding kernel/2.
/// Output must not overlap input.
struct ConvDirectArgs {
    const float* input = nullptr;   ///< (height, width, in_channels)
    size_t input_ld = 0;            ///< floats from one pixel to the next, >= in_channels
    const float* packed = nullptr;  ///< weights, from pack()
    float* output = nullptr;        ///< (out_height(), out_width(), out_channels)
    size_t output_ld = 0;           ///< >= out_channels
    RowRing output_ring;            ///< a ring goes without residual; `ref` has none
    size_t height = 0, width = 0, in_channels = 0, out_channels = 0;  ///< each >= 1
    size_t kernel = 3, stride = 1;
    size_t groups = 1;  ///< divides in_channels and out_channels
    Epilogue epilogue;

    size_t out_height() const { return (height - 1) / stride + 1; }
    size_t out_width() const { return (width - 1) / stride + 1; }
};

/// Direct convolution of one tier, vectorised over output channels: the network's first layer, dense kernels
/// at stride 2, and whatever has no kernel of its own.
struct ConvDirectKernels {
    /// Floats that pack() writes; `in_channels` and `out_channels` are those of the whole layer.
    size_t (*packed_size)(size_t in_channels, size_t out_channels, size_t kernel, size_t groups);
    /// Packs weights (out_channels, in_channels / groups, kernel, kernel), contiguous.
    void (*pack)(const float* weight, size_t in_channels, size_t out_channels, size_t kernel, size_t groups,
                 float* packed);
    /// Computes output rows [begin, end) of [0, out_height()). Any split gives the same bits. Needs no
    /// scratch.
    void (*run)(const ConvDirectArgs& args, size_t begin, size_t end);
};

/// The kernels of a tier; throws std::invalid_argument if this build lacks them.
const ConvDirectKernels& conv_direct_kernels(Tier tier, DType dtype = DType::Float32);

}  // namespace mobileinst
