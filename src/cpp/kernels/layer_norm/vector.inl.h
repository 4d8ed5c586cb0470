#pragma once

#include <cmath>

#include "core/finish.inl.h"
#include "core/simd_math.inl.h"
#include "kernels/layer_norm/layer_norm.h"

namespace mobileinst {
namespace {

void normalise_row(const LayerNormArgs& args, size_t row) {
    const float* x = args.input + row * args.input_ld;
    float* y = args.output + row * args.output_ld;
    const size_t channels = args.channels, whole = channels / Vec::kWidth * Vec::kWidth;
    const float count = static_cast<float>(channels);

    Vec sums = Vec::zero();
#pragma GCC unroll 4
    for (size_t c = 0; c < whole; c += Vec::kWidth) {
        sums = sums + Vec::load(x + c);
    }
    float sum = sum_of_lanes(sums);
    for (size_t c = whole; c < channels; ++c) {
        sum += x[c];
    }
    const float mean = sum / count;
    const Vec mean_v = Vec::fill(mean);

    Vec squares = Vec::zero();
#pragma GCC unroll 4
    for (size_t c = 0; c < whole; c += Vec::kWidth) {
        const Vec centred = Vec::load(x + c) - mean_v;
        squares = fma(centred, centred, squares);
    }
    float square = sum_of_lanes(squares);
    for (size_t c = whole; c < channels; ++c) {
        square += (x[c] - mean) * (x[c] - mean);
    }
    const Vec scale = Vec::fill(1.0f / sqrtf(square / count + args.eps));
    const float *weights = args.weight, *biases = args.bias;
#pragma GCC unroll 4
    for (size_t c = 0; c < whole; c += Vec::kWidth) {
        const Vec centred = (Vec::load(x + c) - mean_v) * scale;
        fma(centred, Vec::load(weights + c), Vec::load(biases + c)).store(y + c);
    }
    if (whole < channels) {
        const size_t n = channels - whole;
        const Vec centred = (Vec::load_first(x + whole, n) - mean_v) * scale;
        fma(centred, Vec::load_first(weights + whole, n), Vec::load_first(biases + whole, n))
            .store_first(y + whole, n);
    }
}

void run(const LayerNormArgs& args, size_t begin, size_t end) {
    for (size_t row = begin; row < end; ++row) {
        normalise_row(args, row);
    }
}

}  // namespace
}  // namespace mobileinst
