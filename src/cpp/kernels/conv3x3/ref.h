#pragma once

#include <algorithm>

#include "kernels/conv3x3/conv3x3.h"
#include "kernels/epilogue_ref.h"

namespace mobileinst {
namespace {

size_t conv3x3_packed_size_ref(size_t in_channels, size_t out_channels) {
    return in_channels * out_channels * 9;
}

void conv3x3_pack_ref(const float* weight, size_t in_channels, size_t out_channels, float* packed) {
    std::copy_n(weight, conv3x3_packed_size_ref(in_channels, out_channels), packed);
}

size_t conv3x3_scratch_size_ref(size_t /*in_channels*/, size_t /*out_channels*/) { return 0; }

size_t conv3x3_units_ref(const Conv3x3Args& args) { return args.height; }

double conv3x3_sum_at_ref(const Conv3x3Args& args, size_t y, size_t x, size_t channel) {
    double sum = 0.0;
    for (size_t ky = 0; ky < 3; ++ky) {
        for (size_t kx = 0; kx < 3; ++kx) {
            const size_t iy = y + ky - 1, ix = x + kx - 1;  // wraps round, so >= height, when outside
            if (iy >= args.height || ix >= args.width) {
                continue;
            }
            const float* pixel = args.input + (iy * args.width + ix) * args.input_ld;
            for (size_t c = 0; c < args.in_channels; ++c) {
                const float w = args.packed[((channel * args.in_channels + c) * 3 + ky) * 3 + kx];
                sum += static_cast<double>(pixel[c]) * w;
            }
        }
    }
    return sum;
}

void conv3x3_run_ref(const Conv3x3Args& args, size_t begin, size_t end, float* /*scratch*/) {
    for (size_t y = begin; y < end; ++y) {
        for (size_t x = 0; x < args.width; ++x) {
            const size_t pixel = y * args.width + x;
            for (size_t channel = 0; channel < args.out_channels; ++channel) {
                args.output[pixel * args.output_ld + channel] =
                    apply_epilogue(conv3x3_sum_at_ref(args, y, x, channel), args.epilogue, pixel, channel);
            }
        }
    }
}

constexpr Conv3x3Kernels kConv3x3DirectRef = {conv3x3_packed_size_ref, conv3x3_pack_ref,
                                              conv3x3_scratch_size_ref, conv3x3_units_ref, conv3x3_run_ref};

constexpr Conv3x3Variants kConv3x3Ref = {kConv3x3DirectRef, kConv3x3DirectRef, kConv3x3DirectRef};

}  // namespace
}  // namespace mobileinst
