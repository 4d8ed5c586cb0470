#pragma once

#include <algorithm>

#include "kernels/pooling/pooling.h"

namespace mobileinst {
namespace {

template <typename Reduce>
void pooling_pool_ref(const PoolArgs& args, size_t begin, size_t end, const Reduce& reduce) {
    for (size_t pixel = begin; pixel < end; ++pixel) {
        const PoolBin rows = pool_bin(pixel / args.out_width, args.height, args.out_height, args.window);
        const PoolBin columns = pool_bin(pixel % args.out_width, args.width, args.out_width, args.window);
        for (size_t channel = 0; channel < args.channels; ++channel) {
            args.output[pixel * args.output_ld + channel] = reduce(rows, columns, channel);
        }
    }
}

void pooling_average_ref(const PoolArgs& args, size_t begin, size_t end) {
    pooling_pool_ref(args, begin, end, [&](const PoolBin& rows, const PoolBin& columns, size_t channel) {
        double sum = 0.0;
        for (size_t y = rows.begin; y < rows.end; ++y) {
            for (size_t x = columns.begin; x < columns.end; ++x) {
                sum += args.input[(y * args.width + x) * args.input_ld + channel];
            }
        }
        return static_cast<float>(
            sum / static_cast<double>((rows.end - rows.begin) * (columns.end - columns.begin)));
    });
}

void pooling_maximum_ref(const PoolArgs& args, size_t begin, size_t end) {
    pooling_pool_ref(args, begin, end, [&](const PoolBin& rows, const PoolBin& columns, size_t channel) {
        float found = args.input[(rows.begin * args.width + columns.begin) * args.input_ld + channel];
        for (size_t y = rows.begin; y < rows.end; ++y) {
            for (size_t x = columns.begin; x < columns.end; ++x) {
                found = std::max(found, args.input[(y * args.width + x) * args.input_ld + channel]);
            }
        }
        return found;
    });
}

constexpr PoolKernels kPoolRef = {pooling_average_ref, pooling_maximum_ref};

}  // namespace
}  // namespace mobileinst
