#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

#include "core/tensor.h"

namespace mobileinst {

/// Which kernel computes a convolution.
enum class ConvKind : uint8_t {
    Gemm,       ///< 1x1, stride 1, dense
    Conv3x3,    ///< 3x3, stride 1, dense
    Depthwise,  ///< one filter per channel
    Direct,     ///< everything else
};

/// A convolution with a square odd kernel and padding kernel / 2, or a linear layer (kernel 1, stride 1).
struct ConvSpec {
    size_t in_channels = 0, out_channels = 0;
    size_t kernel = 1, stride = 1, groups = 1;

    /// Of weights (out, in / groups, kernel, kernel). Throws std::invalid_argument if they contradict that.
    static ConvSpec of(const std::vector<size_t>& weight_shape, size_t stride, size_t groups);

    /// The one place that decides which kernel computes what.
    ConvKind kind() const;
    size_t weight_count() const { return out_channels * (in_channels / groups) * kernel * kernel; }
    /// Side of the output for a side of the input.
    size_t strided(size_t side) const { return (side - 1) / stride + 1; }
    /// Whether it makes a map like `y` of one like `x`.
    bool maps(const Tensor& x, const Tensor& y) const;
};

/// The folder of the kernel: "gemm", "conv3x3", "depthwise" or "conv_direct".
const char* kind_name(ConvKind kind);

}  // namespace mobileinst
