#pragma once

// Depthwise convolution of whole images.

#include "kernels/depthwise/rows.h"

namespace mobileinst {
namespace {

size_t depthwise_packed_size(size_t channels, size_t kernel) {
    return kernel * kernel * round_up(channels, Vec<float>::kWidth);
}

void depthwise_pack(const float* weight, size_t channels, size_t kernel, float* packed) {
    const size_t taps = kernel * kernel, group = strip_vectors(kernel) * Vec<float>::kWidth;
    for (size_t first = 0; first < channels;) {
        const size_t columns = first + group <= channels ? group : Vec<float>::kWidth;
        for (size_t tap = 0; tap < taps; ++tap) {
            for (size_t c = first; c < first + columns; ++c) {
                *packed++ = c < channels ? weight[c * taps + tap] : 0.0f;
            }
        }
        first += columns;
    }
}

void depthwise_run(const DepthwiseArgs& args, size_t begin, size_t end) {
    const VecEpilogue finish(args.epilogue);
    const Interior interior(args);
    for (size_t y = begin; y < end; ++y) {
        depthwise_row(args, finish, interior, RowWindow(args, y), y);
    }
}

constexpr DepthwiseKernels kDepthwise = {depthwise_packed_size, depthwise_pack, depthwise_run};

}  // namespace
}  // namespace mobileinst
