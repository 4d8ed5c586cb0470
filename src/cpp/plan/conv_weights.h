#pragma once

#include <cstddef>
#include <cstdint>

#include "core/aligned_buffer.h"
#include "core/tier.h"
#include "kernels/conv3x3/conv3x3.h"

namespace mobileinst {

/// A convolution with a square odd kernel and padding kernel / 2, or a linear layer (kernel 1, stride 1).
struct ConvSpec {
    size_t in_channels = 0, out_channels = 0;
    size_t kernel = 1, stride = 1, groups = 1;
    Winograd winograd = Winograd::F6x6;  ///< for ConvKind::Conv3x3

    /// Throws std::invalid_argument if it contradicts itself.
    void check() const;
    size_t weight_count() const { return out_channels * (in_channels / groups) * kernel * kernel; }
};

/// Which kernel computes a convolution.
enum class ConvKind : uint8_t {
    Gemm,       ///< 1x1, stride 1, dense
    Conv3x3,    ///< 3x3, stride 1, dense
    Depthwise,  ///< one filter per channel
    Direct,     ///< everything else
};

ConvKind choose_kind(const ConvSpec& spec);

/// "1x1", "3x3", "depthwise" or "direct".
const char* kind_name(ConvKind kind);

/// Weights and bias, packed for a tier. Plans for several input sizes share them.
class ConvWeights {
  public:
    /// `weight` is (out, in / groups, kernel, kernel), `bias` (out,) or null. Throws std::invalid_argument if
    /// the spec contradicts itself.
    ConvWeights(const ConvSpec& spec, const float* weight, const float* bias, Tier tier);

    const ConvSpec& spec() const { return spec_; }
    ConvKind kind() const { return kind_; }
    Tier tier() const { return tier_; }
    const float* packed() const { return packed_.data(); }
    const float* bias() const { return bias_.data(); }  ///< null if there is none

  private:
    ConvSpec spec_;
    ConvKind kind_;
    Tier tier_;
    AlignedBuffer packed_, bias_;
};

}  // namespace mobileinst
