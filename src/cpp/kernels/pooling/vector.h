#pragma once

#include "kernels/pooling/pooling.h"
#include "simd/math.h"

namespace mobileinst {
namespace {

/// Reduces `kVectors` vectors of channels of one bin, row by row so that sums stay short.
template <bool kAverage, size_t kVectors>
inline void pool_channels(const Map<const Element>& input, const PoolBin& rows, const PoolBin& columns,
                          size_t channel, size_t count, Element* output) {
    const Element* corner = input.pixel(rows.begin * input.width + columns.begin) + channel;
    Vec<float> total[kVectors];
    for (size_t v = 0; v < kVectors; ++v) {
        total[v] = kAverage ? Vec<float>::zero() : load_floats(corner + v * Vec<float>::kWidth, count);
    }
    for (size_t y = rows.begin; y < rows.end; ++y) {
        const Element* pixel = input.pixel(y * input.width + columns.begin) + channel;
        Vec<float> row[kVectors];
        for (size_t v = 0; v < kVectors; ++v) {
            row[v] = load_floats(pixel + v * Vec<float>::kWidth, count);
        }
        for (size_t x = columns.begin + 1; x < columns.end; ++x) {
            pixel += input.ld;
            for (size_t v = 0; v < kVectors; ++v) {
                const Vec<float> value = load_floats(pixel + v * Vec<float>::kWidth, count);
                row[v] = kAverage ? row[v] + value : larger_of(row[v], value);
            }
        }
        for (size_t v = 0; v < kVectors; ++v) {
            total[v] = kAverage ? total[v] + row[v] : larger_of(total[v], row[v]);
        }
    }
    const float pixels = static_cast<float>((rows.end - rows.begin) * (columns.end - columns.begin));
    for (size_t v = 0; v < kVectors; ++v) {
        const Vec<float> y = kAverage ? total[v] * Vec<float>::fill(1.0f / pixels) : total[v];
        store_floats(y, output + channel + v * Vec<float>::kWidth, count);
    }
}

template <bool kAverage>
void pool(const PoolArgs& args, size_t begin, size_t end) {
    const Map<const Element> input(args.input);
    const Map<Element> output(args.output);
    for (size_t pixel = begin; pixel < end; ++pixel) {
        const PoolBin rows = pool_bin(pixel / output.width, input.height, output.height, args.window);
        const PoolBin columns = pool_bin(pixel % output.width, input.width, output.width, args.window);
        Element* to = output.pixel(pixel);
        size_t c = 0;
        for (; c + 4 * Vec<float>::kWidth <= output.channels; c += 4 * Vec<float>::kWidth) {
            pool_channels<kAverage, 4>(input, rows, columns, c, Vec<float>::kWidth, to);
        }
        for (; c + Vec<float>::kWidth <= output.channels; c += Vec<float>::kWidth) {
            pool_channels<kAverage, 1>(input, rows, columns, c, Vec<float>::kWidth, to);
        }
        if (c < output.channels) {
            pool_channels<kAverage, 1>(input, rows, columns, c, output.channels - c, to);
        }
    }
}

constexpr PoolKernels kPool = {pool<true>, pool<false>};

}  // namespace
}  // namespace mobileinst
