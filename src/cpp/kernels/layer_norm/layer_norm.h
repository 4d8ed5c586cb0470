#pragma once

#include <cstddef>

#include "core/dtype.h"
#include "core/tier.h"

namespace mobileinst {

/// y = (x - mean) / sqrt(variance + eps) * weight + bias over the channels of each row, variance without
/// Bessel's correction. The output may be the input itself.
struct LayerNormArgs {
    const float* input = nullptr;
    size_t input_ld = 0;
    const float* weight = nullptr;  ///< (channels,)
    const float* bias = nullptr;    ///< (channels,)
    float* output = nullptr;
    size_t output_ld = 0;
    size_t rows = 0, channels = 0;  ///< each >= 1
    float eps = 1e-5f;
};

struct LayerNormKernels {
    /// Computes rows [begin, end).
    void (*run)(const LayerNormArgs& args, size_t begin, size_t end);
};

/// The kernels of a tier; throws std::invalid_argument if this build lacks them.
const LayerNormKernels& layer_norm_kernels(Tier tier, DType dtype = DType::Float32);

}  // namespace mobileinst
