#pragma once

#include <cstddef>

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

// One table per tier, each defined in the file of its name and built only where its instructions exist.
extern const LayerNormKernels layer_norm_f32_ref;
extern const LayerNormKernels layer_norm_f32_neon;
extern const LayerNormKernels layer_norm_f32_avx2;

/// The kernels of a tier; throws std::invalid_argument if this build lacks them.
const LayerNormKernels& layer_norm_kernels(Tier tier);

}  // namespace mobileinst
