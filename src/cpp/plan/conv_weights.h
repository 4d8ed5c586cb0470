#pragma once

#include <cstddef>

#include "core/aligned_buffer.h"
#include "core/tier.h"
#include "kernels/conv3x3/conv3x3.h"
#include "kernels/convolution/convolution.h"

namespace mobileinst {

/// Weights and bias, packed for a tier. Plans for several input sizes share them.
class ConvWeights {
  public:
    /// `weight` is (out, in / groups, kernel, kernel), `bias` (out,) or null; `winograd` is for 3x3 kernels.
    ConvWeights(const ConvSpec& spec, const float* weight, const float* bias, Tier tier, Winograd winograd);

    const ConvSpec& spec() const { return spec_; }
    ConvKind kind() const { return spec_.kind(); }
    Winograd winograd() const { return winograd_; }
    Tier tier() const { return tier_; }
    const void* packed() const { return packed_.data(); }
    const float* bias() const { return bias_.floats(); }  ///< null if there is none

  private:
    ConvSpec spec_;
    Tier tier_;
    Winograd winograd_;
    AlignedBuffer packed_, bias_;
};

}  // namespace mobileinst
