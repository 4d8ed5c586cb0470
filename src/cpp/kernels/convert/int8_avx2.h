#pragma once

// Conversions from and to 8-bit integers on AVX2, a vector of bytes at a time: of the plain loops compilers
// make worse.

#include "kernels/convert/rows.h"
#include "simd/bytes.h"
#include "simd/vec.h"

namespace mobileinst {
namespace {

/// Four vectors of floats as integers, -128 of NaN. No float that conversion to 32 bits would not hold is
/// left.
inline void store_integers(const Vec<float> (&x)[4], int8_t* y) {
    Floats limits[4];
#pragma GCC unroll 4
    for (int i = 0; i < 4; ++i) {
        limits[i] = limited(x[i].v, -128.0f, 127.0f);
    }
    in_order(rounded(limits)).store(y);
}

void quantise_on_avx2(const ConvertArgs& args, size_t begin, size_t end) {
    const auto factor = Vec<float>::fill(1.0f / args.output.quantisation.scale),
               zero = Vec<float>::fill(static_cast<float>(args.output.quantisation.zero));
    convert_rows_of<Bytes::kWidth, float, int8_t>(args, begin, end, [=](const float* x, int8_t* y) {
        Vec<float> whole[4];
#pragma GCC unroll 4
        for (int i = 0; i < 4; ++i) {
            whole[i] = fma(Vec<float>::load(x + i * 8), factor, zero);
        }
        store_integers(whole, y);
    });
}

void dequantise_on_avx2(const ConvertArgs& args, size_t begin, size_t end) {
    const auto zero = Vec<float>::fill(static_cast<float>(args.input.quantisation.zero)),
               scale = Vec<float>::fill(args.input.quantisation.scale);
    convert_rows_of<Sums::kWidth, int8_t, float>(args, begin, end, [=](const int8_t* x, float* y) {
        ((Vec<float>{floats_of_bytes(x, Sums::kWidth)} - zero) * scale).store(y);
    });
}

void requantise_on_avx2(const ConvertArgs& args, size_t begin, size_t end) {
    const Quantisation from = args.input.quantisation, to = args.output.quantisation;
    const auto before = Vec<float>::fill(static_cast<float>(from.zero)),
               factor = Vec<float>::fill(from.scale / to.scale),
               zero = Vec<float>::fill(static_cast<float>(to.zero));
    convert_rows_of<Bytes::kWidth, int8_t, int8_t>(args, begin, end, [=](const int8_t* x, int8_t* y) {
        Vec<float> whole[4];
#pragma GCC unroll 4
        for (int i = 0; i < 4; ++i) {
            whole[i] = fma(Vec<float>{floats_of_bytes(x + i * 8, Sums::kWidth)} - before, factor, zero);
        }
        store_integers(whole, y);
    });
}

constexpr ConvertKernels avx2_conversions() {
    constexpr auto f32 = static_cast<size_t>(DType::Float32), s8 = static_cast<size_t>(DType::Int8);
    ConvertKernels kernels = kConvert;
    kernels.of[f32][s8] = quantise_on_avx2;
    kernels.of[s8][f32] = dequantise_on_avx2;
    kernels.of[s8][s8] = requantise_on_avx2;
    return kernels;
}

constexpr ConvertKernels kConvertInt8Avx2 = avx2_conversions();

}  // namespace
}  // namespace mobileinst
