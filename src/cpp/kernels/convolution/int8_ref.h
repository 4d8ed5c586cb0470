#pragma once

#include "kernels/conv3x3/conv3x3.h"
#include "kernels/convolution/requantise.h"
#include "kernels/convolution/view.h"

namespace mobileinst {
namespace {

size_t conv_int8_packed_size_ref(const ConvSpec& spec) { return spec.weight_count(); }

void conv_int8_pack_ref(const ConvSpec& spec, const float* weight, void* packed) {
    for (size_t i = 0; i < spec.weight_count(); ++i) {
        static_cast<int8_t*>(packed)[i] = static_cast<int8_t>(weight[i]);
    }
}

/// Outside the image lies the border.
int32_t conv_int8_sum_ref(const ConvView<int8_t>& args, const ConvArgs& given, size_t y, size_t x,
                          size_t channel) {
    const size_t pad = args.kernel / 2, width = args.input.width;
    const size_t group_in = args.input.channels / args.groups, group_out = args.output.channels / args.groups;
    const int8_t* input = args.input.data + channel / group_out * group_in;
    int32_t sum = 0;
    for (size_t ky = 0; ky < args.kernel; ++ky) {
        for (size_t kx = 0; kx < args.kernel; ++kx) {
            const size_t iy = y * args.stride + ky - pad,
                         ix = x * args.stride + kx - pad;  // wraps when outside
            const bool inside = iy < args.input.height && ix < width;
            for (size_t c = 0; c < group_in; ++c) {
                const int32_t w =
                    args.packed[((channel * group_in + c) * args.kernel + ky) * args.kernel + kx];
                const int32_t outside =
                    given.border != nullptr ? given.border[c] : given.input.quantisation.zero;
                sum += w * (inside ? input[(iy * width + ix) * args.input.ld + c] : outside);
            }
        }
    }
    return sum;
}

/// Output pixels [begin, end) of any convolution.
void conv_int8_pixels_ref(const ConvArgs& args, size_t begin, size_t end, void* /*scratch*/) {
    const ConvView<int8_t> view(args);
    const size_t width = args.output.width;
    for (size_t pixel = begin; pixel < end; ++pixel) {
        for (size_t channel = 0; channel < args.output.channels; ++channel) {
            const int32_t sum = conv_int8_sum_ref(view, args, pixel / width, pixel % width, channel);
            store_requantised(args, sum, pixel, channel);
        }
    }
}

void conv_int8_rows_ref(const ConvArgs& args, size_t begin, size_t end, void* scratch) {
    conv_int8_pixels_ref(args, begin * args.output.width, end * args.output.width, scratch);
}

constexpr ConvKernels kGemmInt8Ref = {
    conv_int8_packed_size_ref, conv_int8_pack_ref, no_scratch, output_pixels, conv_int8_pixels_ref, 1};
constexpr ConvKernels kConvInt8Ref = {
    conv_int8_packed_size_ref, conv_int8_pack_ref, no_scratch, output_rows, conv_int8_rows_ref, 1};
constexpr Conv3x3Variants kConv3x3Int8Ref = {kConvInt8Ref, kConvInt8Ref, kConvInt8Ref};

}  // namespace
}  // namespace mobileinst
