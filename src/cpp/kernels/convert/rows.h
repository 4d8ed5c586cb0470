#pragma once

// Conversions of several values at a time.

#include <cstring>

#include "kernels/convert/loops.h"

namespace mobileinst {
namespace {

/// COUNT values of one type to another: `convert` takes and gives pointers. What is left of a row goes by way
/// of arrays of so many.
template <size_t COUNT, typename From, typename To, typename Convert>
inline __attribute__((always_inline)) void convert_row(const From* from, To* to, size_t count,
                                                       const Convert& convert) {
    size_t i = 0;
    for (; i + COUNT <= count; i += COUNT) {
        convert(from + i, to + i);
    }
    if (i < count) {
        From values[COUNT] = {};
        To results[COUNT];
        std::memcpy(static_cast<void*>(values), from + i, (count - i) * sizeof(From));
        convert(values, results);
        std::memcpy(static_cast<void*>(to + i), results, (count - i) * sizeof(To));
    }
}

/// Row by row, or pixels without gaps between them as one.
template <size_t COUNT, typename From, typename To, typename Convert>
inline __attribute__((always_inline)) void convert_rows_of(const ConvertArgs& args, size_t begin, size_t end,
                                                           const Convert& convert) {
    const Map<const From> input(args.input);
    const Map<To> output(args.output);
    if (input.ld == input.channels && output.ld == output.channels) {
        return convert_row<COUNT>(input.pixel(begin), output.pixel(begin), (end - begin) * input.channels,
                                  convert);
    }
    for (size_t pixel = begin; pixel < end; ++pixel) {
        convert_row<COUNT>(input.pixel(pixel), output.pixel(pixel), input.channels, convert);
    }
}

}  // namespace
}  // namespace mobileinst
