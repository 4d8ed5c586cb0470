#pragma once

#include "kernels/axial_attention/axial_attention.h"
#include "simd/epilogue.h"

namespace mobileinst {
namespace {

/// Squeezes kVecs vectors of channels, the last of `count` channels, along both axes in one pass: sums of a
/// row stay in registers, those of the columns in the workspace.
template <size_t kVecs>
void squeeze_vectors(const AxialAttentionArgs& args, const AxialSource& source, size_t channel,
                     size_t count) {
    const auto lanes = [&](size_t i) { return i + 1 < kVecs ? Vec<float>::kWidth : count; };
    const Vec<float> row_scale = Vec<float>::fill(1.0f / static_cast<float>(args.value.width));
    const Vec<float> column_scale = Vec<float>::fill(1.0f / static_cast<float>(args.value.height));
    const auto finish = [&](size_t axis, size_t position, size_t i, Vec<float> mean) {
        const size_t at = position * source.map.channels + channel + i * Vec<float>::kWidth;
        if (source.positions[axis] != nullptr) {
            mean = mean + Vec<float>::load_up_to(source.positions[axis] + at, lanes(i));
        }
        mean.store_up_to(source.squeezed[axis] + at, lanes(i));
    };
    const Map<const Element> map(source.map);
    for (size_t y = 0; y < map.height; ++y) {
        const Element* pixel = map.pixel(y * map.width) + channel;
        float* column = source.squeezed[kColumnAxis] + channel;
        Vec<float> sums[kVecs];
        for (size_t i = 0; i < kVecs; ++i) {
            sums[i] = Vec<float>::zero();
        }
        for (size_t x = 0; x < map.width; ++x, pixel += map.ld, column += map.channels) {
            for (size_t i = 0; i < kVecs; ++i) {
                const Vec<float> v = load_floats(pixel + i * Vec<float>::kWidth, lanes(i));
                sums[i] = sums[i] + v;
                const Vec<float> above =
                    y == 0 ? Vec<float>::zero()
                           : Vec<float>::load_up_to(column + i * Vec<float>::kWidth, lanes(i));
                (above + v).store_up_to(column + i * Vec<float>::kWidth, lanes(i));
            }
        }
        for (size_t i = 0; i < kVecs; ++i) {
            finish(kRowAxis, y, i, sums[i] * row_scale);
        }
    }
    for (size_t x = 0; x < args.value.width; ++x) {
        const float* column = source.squeezed[kColumnAxis] + x * source.map.channels + channel;
        for (size_t i = 0; i < kVecs; ++i) {
            finish(kColumnAxis, x, i,
                   Vec<float>::load_up_to(column + i * Vec<float>::kWidth, lanes(i)) * column_scale);
        }
    }
}

void axial_squeeze(const AxialAttentionArgs& args, size_t begin, size_t end) {
    constexpr size_t kVecs = AxialAttentionKernels::kBlock / Vec<float>::kWidth;
    for (size_t block = begin; block < end; ++block) {
        size_t channel = 0;
        const AxialSource source = axial_source(args, block, &channel);
        if (channel + AxialAttentionKernels::kBlock <= source.map.channels) {
            squeeze_vectors<kVecs>(args, source, channel, Vec<float>::kWidth);
            continue;
        }
        for (; channel < source.map.channels; channel += Vec<float>::kWidth) {
            squeeze_vectors<1>(args, source, channel,
                               smaller(Vec<float>::kWidth, source.map.channels - channel));
        }
    }
}

void axial_spread(const AxialAttentionArgs& args, size_t begin, size_t end) {
    const Map<const Element> values(args.value);
    const Map<Element> outputs(args.output);
    const size_t channels = values.channels;
    const float* columns = axial_tokens(args, kColumnAxis).encoded;
    const Vec<float> low = Vec<float>::zero(), high = Vec<float>::fill(6.0f);
    for (size_t y = begin; y < end; ++y) {
        const float* row = axial_tokens(args, kRowAxis).encoded + y * channels;
        for (size_t x = 0; x < args.value.width; ++x) {
            const Element* value = values.pixel(y * values.width + x);
            Element* output = outputs.pixel(y * values.width + x);
            for (size_t c = 0; c < channels; c += Vec<float>::kWidth) {
                const size_t count = smaller(Vec<float>::kWidth, channels - c);
                const Vec<float> sum = load_floats(value + c, count) +
                                       Vec<float>::load_up_to(row + c, count) +
                                       Vec<float>::load_up_to(columns + x * channels + c, count);
                store_floats(clamp(sum, low, high), output + c, count);
            }
        }
    }
}

constexpr AxialAttentionKernels kAxialAttention = {axial_squeeze, axial_spread};

}  // namespace
}  // namespace mobileinst
