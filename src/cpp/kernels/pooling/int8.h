#pragma once

// Maxima of integers, as a loop over channels that compilers make vectors of; the same on every tier.

#include <cmath>

#include "kernels/convert/loops.h"
#include "kernels/pooling/pooling.h"

namespace mobileinst {
namespace {

/// y = the larger of x and y.
inline void raise_to(int8_t* y, const int8_t* x, size_t channels) {
    for (size_t c = 0; c < channels; ++c) {
        y[c] = x[c] > y[c] ? x[c] : y[c];
    }
}

/// The maximum is taken among integers of the input's quantisation, then rounded to the output's.
void pool_maximum_int8(const PoolArgs& args, size_t begin, size_t end) {
    const Map<const int8_t> input(args.input);
    const Map<int8_t> output(args.output);
    const Quantisation &from = args.input.quantisation, to = args.output.quantisation;
    const bool same = from.zero == to.zero && !(from.scale < to.scale) && !(from.scale > to.scale);
    for (size_t pixel = begin; pixel < end; ++pixel) {
        const PoolBin rows = pool_bin(pixel / output.width, input.height, output.height, args.window);
        const PoolBin columns = pool_bin(pixel % output.width, input.width, output.width, args.window);
        int8_t* y = output.pixel(pixel);
        std::memcpy(y, input.pixel(rows.begin * input.width + columns.begin), output.channels);
        for (size_t row = rows.begin; row < rows.end; ++row) {
            for (size_t column = columns.begin; column < columns.end; ++column) {
                raise_to(y, input.pixel(row * input.width + column), output.channels);
            }
        }
        if (!same) {
            Tensor line = args.output;
            line.height = line.width = 1;
            line.data = y;
            ConvertArgs convert{line, line};
            convert.input.quantisation = from;
            requantise(convert, 0, 1);
        }
    }
}

constexpr PoolKernels kPoolInt8 = {nullptr, pool_maximum_int8};

}  // namespace
}  // namespace mobileinst
