#pragma once

// Conversions as plain loops, which every tier's compiler flags make vectors of; integers are rounded by
// additions that do not depend on them, so that all tiers give the same bits.

#include <cmath>
#include <cstdint>
#include <cstring>

#include "core/half.h"
#include "kernels/convert/convert.h"

namespace mobileinst {
namespace {

/// x rounded to the nearest whole number in [-128, 127], of two the even one; -128 of NaN.
inline __attribute__((always_inline)) int8_t round_to_int8(float x) {
    x = x > -128.0f ? x : -128.0f;
    x = x < 127.0f ? x : 127.0f;
    const float shifted = x + 12582912.0f;  // 1.5 * 2^23: its last bit is worth 1
    int32_t bits;
    std::memcpy(&bits, &shifted, sizeof(bits));
    return static_cast<int8_t>(bits - 0x4b400000);
}

/// Each element of pixels [begin, end) by f.
template <typename From, typename To, typename F>
inline __attribute__((always_inline)) void convert_pixels(const ConvertArgs& args, size_t begin, size_t end,
                                                          const F& f) {
    const Map<const From> input(args.input);
    const Map<To> output(args.output);
    for (size_t pixel = begin; pixel < end; ++pixel) {
        const From* from = input.pixel(pixel);
        To* to = output.pixel(pixel);
        for (size_t channel = 0; channel < output.channels; ++channel) {
            to[channel] = f(from[channel]);
        }
    }
}

void quantise(const ConvertArgs& args, size_t begin, size_t end) {
    const float factor = 1.0f / args.output.quantisation.scale;
    const auto zero = static_cast<float>(args.output.quantisation.zero);
    convert_pixels<float, int8_t>(args, begin, end,
                                  [=](float x) { return round_to_int8(std::fma(x, factor, zero)); });
}

void dequantise(const ConvertArgs& args, size_t begin, size_t end) {
    const Quantisation q = args.input.quantisation;
    convert_pixels<int8_t, float>(args, begin, end,
                                  [=](int8_t x) { return static_cast<float>(x - q.zero) * q.scale; });
}

void requantise(const ConvertArgs& args, size_t begin, size_t end) {
    const Quantisation from = args.input.quantisation, to = args.output.quantisation;
    const float factor = from.scale / to.scale;
    const auto zero = static_cast<float>(to.zero);
    convert_pixels<int8_t, int8_t>(args, begin, end, [=](int8_t x) {
        return round_to_int8(std::fma(static_cast<float>(x - from.zero), factor, zero));
    });
}

void widen_half(const ConvertArgs& args, size_t begin, size_t end) {
    convert_pixels<uint16_t, float>(args, begin, end, [](uint16_t x) { return float_of_half(x); });
}

void narrow_to_half(const ConvertArgs& args, size_t begin, size_t end) {
    convert_pixels<float, uint16_t>(args, begin, end, [](float x) { return half_of_float(x); });
}

void quantise_half(const ConvertArgs& args, size_t begin, size_t end) {
    const auto factor = static_cast<double>(Half(1.0f / args.output.quantisation.scale));
    const auto zero = static_cast<double>(args.output.quantisation.zero);
    convert_pixels<Half, int8_t>(args, begin, end, [=](Half x) {
        return round_to_int8(static_cast<float>(Half(static_cast<double>(x) * factor + zero)));
    });
}

void dequantise_to_half(const ConvertArgs& args, size_t begin, size_t end) {
    const int32_t zero = args.input.quantisation.zero;
    const auto scale = static_cast<double>(Half(args.input.quantisation.scale));
    convert_pixels<int8_t, Half>(args, begin, end,
                                 [=](int8_t x) { return Half(static_cast<double>(x - zero) * scale); });
}

constexpr ConvertKernels all_loops() {
    constexpr auto f32 = static_cast<size_t>(DType::Float32), f16 = static_cast<size_t>(DType::Float16),
                   s8 = static_cast<size_t>(DType::Int8);
    ConvertKernels kernels;
    kernels.of[f32][s8] = quantise;
    kernels.of[s8][f32] = dequantise;
    kernels.of[s8][s8] = requantise;
    kernels.of[f16][s8] = quantise_half;
    kernels.of[s8][f16] = dequantise_to_half;
    kernels.of[f16][f32] = widen_half;
    kernels.of[f32][f16] = narrow_to_half;
    return kernels;
}

constexpr ConvertKernels kConvert = all_loops();

}  // namespace
}  // namespace mobileinst
