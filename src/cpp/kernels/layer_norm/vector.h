#pragma once

#include <cmath>

#include "kernels/layer_norm/layer_norm.h"
#include "simd/epilogue.h"
#include "simd/math.h"

namespace mobileinst {
namespace {

void normalise_row(const LayerNormArgs& args, size_t row) {
    const Element* x = Map<const Element>(args.input).pixel(row);
    Element* y = Map<Element>(args.output).pixel(row);
    const size_t channels = args.input.channels, whole = channels / Vec<float>::kWidth * Vec<float>::kWidth;
    const float count = static_cast<float>(channels);

    Vec<float> sums = Vec<float>::zero();
#pragma GCC unroll 4
    for (size_t c = 0; c < whole; c += Vec<float>::kWidth) {
        sums = sums + load_floats(x + c);
    }
    float sum = sum_of_lanes(sums);
    for (size_t c = whole; c < channels; ++c) {
        sum += static_cast<float>(x[c]);
    }
    const float mean = sum / count;
    const Vec<float> mean_v = Vec<float>::fill(mean);

    Vec<float> squares = Vec<float>::zero();
#pragma GCC unroll 4
    for (size_t c = 0; c < whole; c += Vec<float>::kWidth) {
        const Vec<float> centred = load_floats(x + c) - mean_v;
        squares = fma(centred, centred, squares);
    }
    float square = sum_of_lanes(squares);
    for (size_t c = whole; c < channels; ++c) {
        const float centred = static_cast<float>(x[c]) - mean;
        square += centred * centred;
    }
    const Vec<float> scale = Vec<float>::fill(1.0f / sqrtf(square / count + args.eps));
    const float *weights = args.weight, *biases = args.bias;
#pragma GCC unroll 4
    for (size_t c = 0; c < whole; c += Vec<float>::kWidth) {
        const Vec<float> centred = (load_floats(x + c) - mean_v) * scale;
        store_floats(fma(centred, Vec<float>::load(weights + c), Vec<float>::load(biases + c)), y + c);
    }
    if (whole < channels) {
        const size_t n = channels - whole;
        const Vec<float> centred = (load_floats(x + whole, n) - mean_v) * scale;
        const Vec<float> normalised = fma(centred, Vec<float>::load_first(weights + whole, n),
                                          Vec<float>::load_first(biases + whole, n));
        store_floats(normalised, y + whole, n);
    }
}

void layer_norm_run(const LayerNormArgs& args, size_t begin, size_t end) {
    for (size_t row = begin; row < end; ++row) {
        normalise_row(args, row);
    }
}

constexpr LayerNormKernels kLayerNorm = {layer_norm_run};

}  // namespace
}  // namespace mobileinst
