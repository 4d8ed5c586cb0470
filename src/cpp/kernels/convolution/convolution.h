#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

#include "core/activation.h"
#include "core/row_ring.h"
#include "core/tensor.h"
#include "core/tier.h"
#include "kernels/convolution/requantisation.h"

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

/// A convolution or matrix product of one image. The output must not overlap the input.
struct ConvArgs {
    Tensor input, output;
    const void* packed = nullptr;  ///< weights, from ConvKernels::pack()
    size_t kernel = 1, stride = 1, groups = 1;
    RowRing output_ring;            ///< of ConvKind::Direct, without residual; `Ref` has none
    Epilogue epilogue;              ///< of floats
    Requantisation requantisation;  ///< of integers, with the residual of the epilogue
    /// Integers that lie outside the image, by input channel, of ConvKind::Direct without groups; or null:
    /// the zero of the input.
    const int8_t* border = nullptr;
};

/// Convolutions of one kind, tier and element type.
struct ConvKernels {
    /// Bytes that pack() writes. The layout belongs to tier, kind and element type.
    size_t (*packed_size)(const ConvSpec& spec);
    /// Packs weights (out_channels, in_channels / groups, kernel, kernel), contiguous, for the elements'
    /// type; for int8 they are whole numbers in [-127, 127]. `packed` should be aligned to 64 bytes.
    void (*pack)(const ConvSpec& spec, const float* weight, void* packed);
    /// Bytes of scratch that one run() needs; concurrent runs need one each, aligned to 64 bytes.
    size_t (*scratch_size)(const ConvArgs& args);
    /// Units of work: rows of the output, its pixels for ConvKind::Gemm, tiles for ConvKind::Conv3x3.
    size_t (*units)(const ConvArgs& args);
    /// Computes units [begin, end). Any split gives the same bits. Few long ranges are faster than many short
    /// ones, those of ConvKind::Conv3x3 much, as each reads all weights.
    void (*run)(const ConvArgs& args, size_t begin, size_t end, void* scratch);
    size_t unit_tile;  ///< ranges that begin at multiples of it are fastest
};

enum class Winograd : uint8_t;

/// The kernels of a kind; `winograd` is for ConvKind::Conv3x3. Throws std::invalid_argument if this build
/// lacks them.
const ConvKernels& conv_kernels(Tier tier, ConvKind kind, Winograd winograd, DType dtype = DType::Float32);

}  // namespace mobileinst
