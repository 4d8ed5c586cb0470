#pragma once

#include <algorithm>

#include "kernels/conv3x3/conv3x3.h"
#include "kernels/convolution/view.h"
#include "kernels/epilogue_ref.h"

namespace mobileinst {
namespace {

template <typename T>
size_t conv_packed_size_ref(const ConvSpec& spec) {
    return spec.weight_count() * sizeof(T);
}

template <typename T>
void conv_pack_ref(const ConvSpec& spec, const float* weight, void* packed) {
    std::transform(weight, weight + spec.weight_count(), static_cast<T*>(packed),
                   [](float w) { return static_cast<T>(w); });
}

template <typename T>
double conv_sum_ref(const ConvView<T>& args, size_t y, size_t x, size_t channel) {
    const size_t pad = args.kernel / 2, width = args.input.width;
    const size_t group_in = args.input.channels / args.groups, group_out = args.output.channels / args.groups;
    const T* input = args.input.data + channel / group_out * group_in;
    double sum = 0.0;
    for (size_t ky = 0; ky < args.kernel; ++ky) {
        for (size_t kx = 0; kx < args.kernel; ++kx) {
            const size_t iy = y * args.stride + ky - pad,
                         ix = x * args.stride + kx - pad;  // wraps when outside
            if (iy >= args.input.height || ix >= width) {
                continue;
            }
            for (size_t c = 0; c < group_in; ++c) {
                const T w = args.packed[((channel * group_in + c) * args.kernel + ky) * args.kernel + kx];
                const T x = input[(iy * width + ix) * args.input.ld + c];
                sum += static_cast<double>(x) * static_cast<double>(w);
            }
        }
    }
    return sum;
}

/// Output pixels [begin, end) of any convolution.
template <typename T>
void conv_pixels_ref(const ConvArgs& args, size_t begin, size_t end, void* /*scratch*/) {
    const ConvView<T> view(args);
    const size_t width = view.output.width;
    for (size_t pixel = begin; pixel < end; ++pixel) {
        for (size_t channel = 0; channel < view.output.channels; ++channel) {
            const double sum = conv_sum_ref(view, pixel / width, pixel % width, channel);
            view.output.pixel(pixel)[channel] = apply_epilogue<T>(sum, args.epilogue, pixel, channel);
        }
    }
}

template <typename T>
void conv_rows_ref(const ConvArgs& args, size_t begin, size_t end, void* scratch) {
    conv_pixels_ref<T>(args, begin * args.output.width, end * args.output.width, scratch);
}

template <typename T>
constexpr ConvKernels kGemmRef = {conv_packed_size_ref<T>, conv_pack_ref<T>,   no_scratch,
                                  output_pixels,           conv_pixels_ref<T>, 1};
template <typename T>
constexpr ConvKernels kConvRef = {
    conv_packed_size_ref<T>, conv_pack_ref<T>, no_scratch, output_rows, conv_rows_ref<T>, 1};
template <typename T>
constexpr Conv3x3Variants kConv3x3Ref = {kConvRef<T>, kConvRef<T>, kConvRef<T>};

}  // namespace
}  // namespace mobileinst
