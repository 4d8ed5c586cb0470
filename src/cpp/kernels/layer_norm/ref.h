#pragma once

#include <cmath>

#include "kernels/layer_norm/layer_norm.h"

namespace mobileinst {
namespace {

void layer_norm_run_ref(const LayerNormArgs& args, size_t begin, size_t end) {
    const Map<const float> input(args.input);
    const Map<float> output(args.output);
    for (size_t row = begin; row < end; ++row) {
        const float* x = input.pixel(row);
        double mean = 0.0, variance = 0.0;
        for (size_t c = 0; c < input.channels; ++c) {
            mean += x[c];
        }
        mean /= static_cast<double>(input.channels);
        for (size_t c = 0; c < input.channels; ++c) {
            variance += (x[c] - mean) * (x[c] - mean);
        }
        variance /= static_cast<double>(input.channels);
        const double scale = 1.0 / std::sqrt(variance + args.eps);
        float* y = output.pixel(row);
        for (size_t c = 0; c < input.channels; ++c) {
            y[c] = static_cast<float>((x[c] - mean) * scale * args.weight[c] + args.bias[c]);
        }
    }
}

constexpr LayerNormKernels kLayerNormRef = {layer_norm_run_ref};

}  // namespace
}  // namespace mobileinst
