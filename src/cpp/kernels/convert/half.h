#pragma once

// Conversions between floats and halves on vectors.

#include "kernels/convert/convert.h"
#include "simd/vec.h"

namespace mobileinst {
namespace {

void widen_row(const Half* from, float* to, size_t count) {
    constexpr size_t kWidth = Vec<float>::kWidth;
    size_t i = 0;
    for (; i + kWidth <= count; i += kWidth) {
        load_floats(from + i).store(to + i);
    }
    if (i < count) {
        load_floats(from + i, count - i).store_first(to + i, count - i);
    }
}

void narrow_row(const float* from, Half* to, size_t count) {
    constexpr size_t kWidth = Vec<float>::kWidth;
    size_t i = 0;
    for (; i + kWidth <= count; i += kWidth) {
        store_floats(Vec<float>::load(from + i), to + i);
    }
    if (i < count) {
        store_floats(Vec<float>::load_first(from + i, count - i), to + i, count - i);
    }
}

/// Row by row, or pixels without gaps between them as one.
template <typename From, typename To>
inline void convert_rows(const ConvertArgs& args, size_t begin, size_t end,
                         void (*convert)(const From*, To*, size_t)) {
    const Map<const From> input(args.input);
    const Map<To> output(args.output);
    if (input.ld == input.channels && output.ld == output.channels) {
        return convert(input.pixel(begin), output.pixel(begin), (end - begin) * input.channels);
    }
    for (size_t pixel = begin; pixel < end; ++pixel) {
        convert(input.pixel(pixel), output.pixel(pixel), input.channels);
    }
}

void widen_halves(const ConvertArgs& args, size_t begin, size_t end) {
    convert_rows<Half, float>(args, begin, end, widen_row);
}

void narrow_to_halves(const ConvertArgs& args, size_t begin, size_t end) {
    convert_rows<float, Half>(args, begin, end, narrow_row);
}

constexpr ConvertKernels half_conversions() {
    constexpr auto f32 = static_cast<size_t>(DType::Float32), f16 = static_cast<size_t>(DType::Float16);
    ConvertKernels kernels;
    kernels.of[f16][f32] = widen_halves;
    kernels.of[f32][f16] = narrow_to_halves;
    return kernels;
}

constexpr ConvertKernels kConvertHalf = half_conversions();

}  // namespace
}  // namespace mobileinst
