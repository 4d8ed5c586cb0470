#pragma once

#include <cmath>

#include "kernels/layer_norm/layer_norm.h"

namespace mobileinst {
namespace {

template <typename T>
void layer_norm_run_ref(const LayerNormArgs& args, size_t begin, size_t end) {
    const Map<const T> input(args.input);
    const Map<T> output(args.output);
    for (size_t row = begin; row < end; ++row) {
        const T* x = input.pixel(row);
        double mean = 0.0, variance = 0.0;
        for (size_t c = 0; c < input.channels; ++c) {
            mean += static_cast<double>(x[c]);
        }
        mean /= static_cast<double>(input.channels);
        for (size_t c = 0; c < input.channels; ++c) {
            const double centred = static_cast<double>(x[c]) - mean;
            variance += centred * centred;
        }
        variance /= static_cast<double>(input.channels);
        const double scale = 1.0 / std::sqrt(variance + args.eps);
        T* y = output.pixel(row);
        for (size_t c = 0; c < input.channels; ++c) {
            const double centred = static_cast<double>(x[c]) - mean;
            y[c] = static_cast<T>(centred * scale * args.weight[c] + args.bias[c]);
        }
    }
}

template <typename T>
constexpr LayerNormKernels kLayerNormRef = {layer_norm_run_ref<T>};

}  // namespace
}  // namespace mobileinst
