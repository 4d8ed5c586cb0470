#pragma once

#include <algorithm>

#include "kernels/conv3x3/conv3x3.h"
#include "kernels/convolution/view.h"
#include "kernels/epilogue_ref.h"

namespace mobileinst {
namespace {

size_t conv_packed_size_ref(const ConvSpec& spec) { return spec.weight_count() * sizeof(float); }

void conv_pack_ref(const ConvSpec& spec, const float* weight, void* packed) {
    std::copy_n(weight, spec.weight_count(), static_cast<float*>(packed));
}

double conv_sum_ref(const ConvView<float>& args, size_t y, size_t x, size_t channel) {
    const size_t pad = args.kernel / 2, width = args.input.width;
    const size_t group_in = args.input.channels / args.groups, group_out = args.output.channels / args.groups;
    const float* input = args.input.data + channel / group_out * group_in;
    double sum = 0.0;
    for (size_t ky = 0; ky < args.kernel; ++ky) {
        for (size_t kx = 0; kx < args.kernel; ++kx) {
            const size_t iy = y * args.stride + ky - pad,
                         ix = x * args.stride + kx - pad;  // wraps when outside
            if (iy >= args.input.height || ix >= width) {
                continue;
            }
            for (size_t c = 0; c < group_in; ++c) {
                const float w = args.packed[((channel * group_in + c) * args.kernel + ky) * args.kernel + kx];
                sum += static_cast<double>(input[(iy * width + ix) * args.input.ld + c]) * w;
            }
        }
    }
    return sum;
}

/// Output pixels [begin, end) of any convolution.
void conv_pixels_ref(const ConvArgs& args, size_t begin, size_t end, void* /*scratch*/) {
    const ConvView<float> view(args);
    const size_t width = view.output.width;
    for (size_t pixel = begin; pixel < end; ++pixel) {
        for (size_t channel = 0; channel < view.output.channels; ++channel) {
            const double sum = conv_sum_ref(view, pixel / width, pixel % width, channel);
            view.output.pixel(pixel)[channel] = apply_epilogue(sum, args.epilogue, pixel, channel);
        }
    }
}

void conv_rows_ref(const ConvArgs& args, size_t begin, size_t end, void* scratch) {
    conv_pixels_ref(args, begin * args.output.width, end * args.output.width, scratch);
}

constexpr ConvKernels kGemmRef = {conv_packed_size_ref, conv_pack_ref,   no_scratch,
                                  output_pixels,        conv_pixels_ref, 1};
constexpr ConvKernels kConvRef = {conv_packed_size_ref, conv_pack_ref, no_scratch,
                                  output_rows,          conv_rows_ref, 1};
constexpr Conv3x3Variants kConv3x3Ref = {kConvRef, kConvRef, kConvRef};

}  // namespace
}  // namespace mobileinst
