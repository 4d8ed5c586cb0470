#pragma once

#include <cstddef>

#include "core/dtype.h"
#include "core/tensor.h"
#include "core/tier.h"

namespace mobileinst {

/// y = (x - mean) / sqrt(variance + eps) * weight + bias over the channels of each row, variance without
/// Bessel's correction. The output may be the input itself.
struct LayerNormArgs {
    Tensor input, output;
    const float* weight = nullptr;  ///< (channels,)
    const float* bias = nullptr;    ///< (channels,)
    float eps = 1e-5f;
};

struct LayerNormKernels {
    /// Computes rows [begin, end).
    void (*run)(const LayerNormArgs& args, size_t begin, size_t end);
};

}  // namespace mobileinst
