#pragma once

#include <algorithm>

#include "kernels/conv_direct/conv_direct.h"
#include "kernels/epilogue_ref.h"

namespace mobileinst {
namespace {

size_t conv_direct_packed_size_ref(size_t in_channels, size_t out_channels, size_t kernel, size_t groups) {
    return in_channels / groups * out_channels * kernel * kernel;
}

void conv_direct_pack_ref(const float* weight, size_t in_channels, size_t out_channels, size_t kernel,
                          size_t groups, float* packed) {
    std::copy_n(weight, conv_direct_packed_size_ref(in_channels, out_channels, kernel, groups), packed);
}

double conv_direct_sum_at_ref(const ConvDirectArgs& args, size_t y, size_t x, size_t channel) {
    const size_t pad = args.kernel / 2;
    const size_t group_in = args.in_channels / args.groups, group_out = args.out_channels / args.groups;
    const float* input = args.input + channel / group_out * group_in;
    double sum = 0.0;
    for (size_t ky = 0; ky < args.kernel; ++ky) {
        for (size_t kx = 0; kx < args.kernel; ++kx) {
            const size_t iy = y * args.stride + ky - pad,
                         ix = x * args.stride + kx - pad;  // wraps when outside
            if (iy >= args.height || ix >= args.width) {
                continue;
            }
            for (size_t c = 0; c < group_in; ++c) {
                const float w = args.packed[((channel * group_in + c) * args.kernel + ky) * args.kernel + kx];
                sum += static_cast<double>(input[(iy * args.width + ix) * args.input_ld + c]) * w;
            }
        }
    }
    return sum;
}

void conv_direct_run_ref(const ConvDirectArgs& args, size_t begin, size_t end) {
    for (size_t y = begin; y < end; ++y) {
        for (size_t x = 0; x < args.out_width(); ++x) {
            const size_t pixel = y * args.out_width() + x;
            for (size_t channel = 0; channel < args.out_channels; ++channel) {
                args.output[pixel * args.output_ld + channel] = apply_epilogue(
                    conv_direct_sum_at_ref(args, y, x, channel), args.epilogue, pixel, channel);
            }
        }
    }
}

constexpr ConvDirectKernels kConvDirectRef = {conv_direct_packed_size_ref, conv_direct_pack_ref,
                                              conv_direct_run_ref};

}  // namespace
}  // namespace mobileinst
