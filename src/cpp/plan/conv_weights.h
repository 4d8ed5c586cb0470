#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

#include "core/aligned_buffer.h"
#include "core/dtype.h"
#include "core/tier.h"
#include "kernels/conv3x3/conv3x3.h"
#include "kernels/convolution/convolution.h"

namespace mobileinst {

/// Weights and bias, packed for a tier. Plans for several input sizes share them.
class ConvWeights {
  public:
    /// `weight` is (out, in / groups, kernel, kernel), `bias` (out,) or null; `winograd` is for 3x3 kernels.
    /// For int8 the weights of each output channel are rounded to whole multiples of a 127th of the largest.
    ConvWeights(const ConvSpec& spec, const float* weight, const float* bias, Tier tier, Winograd winograd,
                DType dtype = DType::Float32);

    const ConvSpec& spec() const { return spec_; }
    ConvKind kind() const { return spec_.kind(); }
    Winograd winograd() const { return winograd_; }
    Tier tier() const { return tier_; }
    DType dtype() const { return dtype_; }
    const void* packed() const { return packed_.data(); }
    /// Floats, or halves for Float16; null if there is none.
    const void* bias() const { return bias_.data(); }
    /// Memory that they take.
    size_t bytes() const { return packed_.size() + bias_.size(); }
    /// Of int8: what an integer of each output channel stands for, and the sum of its integers.
    const std::vector<float>& scales() const { return scales_; }
    const std::vector<int32_t>& sums() const { return sums_; }

  private:
    /// The weights as whole numbers; fills scales_ and sums_.
    std::vector<float> quantised(const float* weight);

    ConvSpec spec_;
    Tier tier_;
    Winograd winograd_;
    DType dtype_;
    AlignedBuffer packed_, bias_;
    std::vector<float> scales_;
    std::vector<int32_t> sums_;
};

}  // namespace mobileinst
