#pragma once

#include <algorithm>

#include "kernels/pooling/pooling.h"

namespace mobileinst {
namespace {

template <typename T, typename Reduce>
void pooling_pool_ref(const PoolArgs& args, size_t begin, size_t end, const Reduce& reduce) {
    for (size_t pixel = begin; pixel < end; ++pixel) {
        const PoolBin rows =
            pool_bin(pixel / args.output.width, args.input.height, args.output.height, args.window);
        const PoolBin columns =
            pool_bin(pixel % args.output.width, args.input.width, args.output.width, args.window);
        for (size_t channel = 0; channel < args.output.channels; ++channel) {
            Map<T>(args.output).pixel(pixel)[channel] = static_cast<T>(reduce(rows, columns, channel));
        }
    }
}

template <typename T>
void pooling_average_ref(const PoolArgs& args, size_t begin, size_t end) {
    pooling_pool_ref<T>(args, begin, end, [&](const PoolBin& rows, const PoolBin& columns, size_t channel) {
        double sum = 0.0;
        for (size_t y = rows.begin; y < rows.end; ++y) {
            for (size_t x = columns.begin; x < columns.end; ++x) {
                sum += static_cast<double>(Map<const T>(args.input).pixel(y * args.input.width + x)[channel]);
            }
        }
        return sum / static_cast<double>((rows.end - rows.begin) * (columns.end - columns.begin));
    });
}

template <typename T>
void pooling_maximum_ref(const PoolArgs& args, size_t begin, size_t end) {
    pooling_pool_ref<T>(args, begin, end, [&](const PoolBin& rows, const PoolBin& columns, size_t channel) {
        const auto at = [&](size_t y, size_t x) {
            return static_cast<float>(Map<const T>(args.input).pixel(y * args.input.width + x)[channel]);
        };
        float found = at(rows.begin, columns.begin);
        for (size_t y = rows.begin; y < rows.end; ++y) {
            for (size_t x = columns.begin; x < columns.end; ++x) {
                found = std::max(found, at(y, x));
            }
        }
        return found;
    });
}

template <typename T>
constexpr PoolKernels kPoolRef = {pooling_average_ref<T>, pooling_maximum_ref<T>};

}  // namespace
}  // namespace mobileinst
