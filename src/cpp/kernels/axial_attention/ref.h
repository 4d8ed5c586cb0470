#pragma once

#include <algorithm>

#include "kernels/axial_attention/axial_attention.h"

namespace mobileinst {
namespace {

/// Average of one channel over the pixels first, first + step, ...
template <typename T>
float axial_attention_average_ref(const AxialSource& source, size_t channel, size_t first, size_t step,
                                  size_t count) {
    double sum = 0.0;
    for (size_t i = 0; i < count; ++i) {
        sum += static_cast<double>(Map<const T>(source.map).pixel(first + i * step)[channel]);
    }
    return static_cast<float>(sum / static_cast<double>(count));
}

template <typename T>
void axial_attention_squeeze_channel_ref(const AxialAttentionArgs& args, const AxialSource& source,
                                         size_t channel) {
    for (size_t axis = 0; axis < kAxes; ++axis) {
        const bool rows = axis == kRowAxis;
        for (size_t i = 0; i < args.length(axis); ++i) {
            const float mean = rows ? axial_attention_average_ref<T>(source, channel, i * args.value.width, 1,
                                                                     args.value.width)
                                    : axial_attention_average_ref<T>(source, channel, i, args.value.width,
                                                                     args.value.height);
            const size_t at = i * source.map.channels + channel;
            source.squeezed[axis][at] =
                source.positions[axis] == nullptr ? mean : mean + source.positions[axis][at];
        }
    }
}

template <typename T>
void axial_attention_squeeze_ref(const AxialAttentionArgs& args, size_t begin, size_t end) {
    for (size_t block = begin; block < end; ++block) {
        size_t channel = 0;
        const AxialSource source = axial_source(args, block, &channel);
        const size_t last = std::min(channel + AxialAttentionKernels::kBlock, source.map.channels);
        for (; channel < last; ++channel) {
            axial_attention_squeeze_channel_ref<T>(args, source, channel);
        }
    }
}

template <typename T>
void axial_attention_spread_ref(const AxialAttentionArgs& args, size_t begin, size_t end) {
    const float* rows = axial_tokens(args, kRowAxis).encoded;
    const float* columns = axial_tokens(args, kColumnAxis).encoded;
    const Map<const T> value(args.value);
    const Map<T> output(args.output);
    const size_t channels = value.channels;
    for (size_t pixel = begin * args.value.width; pixel < end * args.value.width; ++pixel) {
        for (size_t c = 0; c < channels; ++c) {
            const float sum = static_cast<float>(value.pixel(pixel)[c]) +
                              rows[pixel / args.value.width * channels + c] +
                              columns[pixel % args.value.width * channels + c];
            output.pixel(pixel)[c] = static_cast<T>(std::min(std::max(sum, 0.0f), 6.0f));
        }
    }
}

template <typename T>
constexpr AxialAttentionKernels kAxialAttentionRef = {axial_attention_squeeze_ref<T>,
                                                      axial_attention_spread_ref<T>};

}  // namespace
}  // namespace mobileinst
