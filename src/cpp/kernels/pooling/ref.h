#pragma once

#include <algorithm>

#include "kernels/pooling/pooling.h"

namespace mobileinst {
namespace {

template <typename Reduce>
void pooling_pool_ref(const PoolArgs& args, size_t begin, size_t end, const Reduce& reduce) {
    for (size_t pixel = begin; pixel < end; ++pixel) {
        const PoolBin rows =
            pool_bin(pixel / args.output.width, args.input.height, args.output.height, args.window);
        const PoolBin columns =
            pool_bin(pixel % args.output.width, args.input.width, args.output.width, args.window);
        for (size_t channel = 0; channel < args.output.channels; ++channel) {
            Map<float>(args.output).pixel(pixel)[channel] = reduce(rows, columns, channel);
        }
    }
}

void pooling_average_ref(const PoolArgs& args, size_t begin, size_t end) {
    pooling_pool_ref(args, begin, end, [&](const PoolBin& rows, const PoolBin& columns, size_t channel) {
        double sum = 0.0;
        for (size_t y = rows.begin; y < rows.end; ++y) {
            for (size_t x = columns.begin; x < columns.end; ++x) {
                sum += Map<const float>(args.input).pixel(y * args.input.width + x)[channel];
            }
        }
        return static_cast<float>(
            sum / static_cast<double>((rows.end - rows.begin) * (columns.end - columns.begin)));
    });
}

void pooling_maximum_ref(const PoolArgs& args, size_t begin, size_t end) {
    pooling_pool_ref(args, begin, end, [&](const PoolBin& rows, const PoolBin& columns, size_t channel) {
        float found =
            Map<const float>(args.input).pixel(rows.begin * args.input.width + columns.begin)[channel];
        for (size_t y = rows.begin; y < rows.end; ++y) {
            for (size_t x = columns.begin; x < columns.end; ++x) {
                found =
                    std::max(found, Map<const float>(args.input).pixel(y * args.input.width + x)[channel]);
            }
        }
        return found;
    });
}

constexpr PoolKernels kPoolRef = {pooling_average_ref, pooling_maximum_ref};

}  // namespace
}  // namespace mobileinst
