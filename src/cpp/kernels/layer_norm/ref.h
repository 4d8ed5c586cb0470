#pragma once

#include <cmath>

#include "kernels/layer_norm/layer_norm.h"

namespace mobileinst {
namespace {

void layer_norm_run_ref(const LayerNormArgs& args, size_t begin, size_t end) {
    for (size_t row = begin; row < end; ++row) {
        const float* x = args.input + row * args.input_ld;
        double mean = 0.0, variance = 0.0;
        for (size_t c = 0; c < args.channels; ++c) {
            mean += x[c];
        }
        mean /= static_cast<double>(args.channels);
        for (size_t c = 0; c < args.channels; ++c) {
            variance += (x[c] - mean) * (x[c] - mean);
        }
        variance /= static_cast<double>(args.channels);
        const double scale = 1.0 / std::sqrt(variance + args.eps);
        float* y = args.output + row * args.output_ld;
        for (size_t c = 0; c < args.channels; ++c) {
            y[c] = static_cast<float>((x[c] - mean) * scale * args.weight[c] + args.bias[c]);
        }
    }
}

constexpr LayerNormKernels kLayerNormRef = {layer_norm_run_ref};

}  // namespace
}  // namespace mobileinst
