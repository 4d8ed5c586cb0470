#pragma once

#include <algorithm>

#include "kernels/depthwise/depthwise.h"
#include "kernels/epilogue_ref.h"

namespace mobileinst {
namespace {

size_t depthwise_packed_size_ref(size_t channels, size_t kernel) { return channels * kernel * kernel; }

void depthwise_pack_ref(const float* weight, size_t channels, size_t kernel, float* packed) {
    std::copy_n(weight, depthwise_packed_size_ref(channels, kernel), packed);
}

double depthwise_sum_at_ref(const DepthwiseArgs& args, size_t y, size_t x, size_t channel) {
    const size_t pad = args.kernel / 2;
    double sum = 0.0;
    for (size_t ky = 0; ky < args.kernel; ++ky) {
        for (size_t kx = 0; kx < args.kernel; ++kx) {
            const size_t iy = y * args.stride + ky - pad,
                         ix = x * args.stride + kx - pad;  // wraps when outside
            if (iy < args.height && ix < args.width) {
                const float w = args.packed[(channel * args.kernel + ky) * args.kernel + kx];
                sum += static_cast<double>(args.input[(iy * args.width + ix) * args.input_ld + channel]) * w;
            }
        }
    }
    return sum;
}

void depthwise_run_ref(const DepthwiseArgs& args, size_t begin, size_t end) {
    for (size_t y = begin; y < end; ++y) {
        for (size_t x = 0; x < args.out_width(); ++x) {
            const size_t pixel = y * args.out_width() + x;
            for (size_t channel = 0; channel < args.channels; ++channel) {
                args.output[pixel * args.output_ld + channel] =
                    apply_epilogue(depthwise_sum_at_ref(args, y, x, channel), args.epilogue, pixel, channel);
            }
        }
    }
}

constexpr DepthwiseKernels kDepthwiseRef = {depthwise_packed_size_ref, depthwise_pack_ref, depthwise_run_ref};

}  // namespace
}  // namespace mobileinst
