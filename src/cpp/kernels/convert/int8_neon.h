#pragma once

// Conversions from and to 8-bit integers on NEON with half-precision arithmetic, 16 values at a time.

#include <arm_neon.h>

#include "kernels/convert/rows.h"

namespace mobileinst {
namespace {

/// Floats as whole numbers, limited to those of 16 bits; NaN as the least.
inline int16x8_t whole_numbers(const float* x, float32x4_t factor, float32x4_t zero) {
    const float32x4_t least = vdupq_n_f32(-128.0f);
    const float32x4_t low = vmaxnmq_f32(vfmaq_f32(zero, vld1q_f32(x), factor), least);
    const float32x4_t high = vmaxnmq_f32(vfmaq_f32(zero, vld1q_f32(x + 4), factor), least);
    return vqmovn_high_s32(vqmovn_s32(vcvtnq_s32_f32(low)), vcvtnq_s32_f32(high));
}

void quantise_on_neon(const ConvertArgs& args, size_t begin, size_t end) {
    const float32x4_t factor = vdupq_n_f32(1.0f / args.output.quantisation.scale),
                      zero = vdupq_n_f32(static_cast<float>(args.output.quantisation.zero));
    convert_rows_of<16, float, int8_t>(args, begin, end, [=](const float* x, int8_t* y) {
        const int16x8_t low = whole_numbers(x, factor, zero), high = whole_numbers(x + 8, factor, zero);
        vst1q_s8(y, vqmovn_high_s16(vqmovn_s16(low), high));
    });
}

inline float16x8_t load_halves(const uint16_t* x) { return vreinterpretq_f16_u16(vld1q_u16(x)); }

void quantise_half_on_neon(const ConvertArgs& args, size_t begin, size_t end) {
    const float16x8_t factor = vdupq_n_f16(static_cast<float16_t>(1.0f / args.output.quantisation.scale)),
                      zero = vdupq_n_f16(static_cast<float16_t>(args.output.quantisation.zero)),
                      least = vdupq_n_f16(static_cast<float16_t>(-128.0f));
    convert_rows_of<16, uint16_t, int8_t>(args, begin, end, [=](const uint16_t* x, int8_t* y) {
        const float16x8_t low = vmaxnmq_f16(vfmaq_f16(zero, load_halves(x), factor), least);
        const float16x8_t high = vmaxnmq_f16(vfmaq_f16(zero, load_halves(x + 8), factor), least);
        vst1q_s8(y, vqmovn_high_s16(vqmovn_s16(vcvtnq_s16_f16(low)), vcvtnq_s16_f16(high)));
    });
}

void dequantise_on_neon(const ConvertArgs& args, size_t begin, size_t end) {
    const int8x8_t zero = vdup_n_s8(static_cast<int8_t>(args.input.quantisation.zero));
    const float32x4_t scale = vdupq_n_f32(args.input.quantisation.scale);
    convert_rows_of<16, int8_t, float>(args, begin, end, [=](const int8_t* x, float* y) {
        const int8x16_t bytes = vld1q_s8(x);
        const int16x8_t half[2] = {vsubl_s8(vget_low_s8(bytes), zero), vsubl_s8(vget_high_s8(bytes), zero)};
        for (int i = 0; i < 2; ++i) {
            const int32x4_t low = vmovl_s16(vget_low_s16(half[i])), high = vmovl_high_s16(half[i]);
            vst1q_f32(y + i * 8, vmulq_f32(vcvtq_f32_s32(low), scale));
            vst1q_f32(y + i * 8 + 4, vmulq_f32(vcvtq_f32_s32(high), scale));
        }
    });
}

void dequantise_to_half_on_neon(const ConvertArgs& args, size_t begin, size_t end) {
    const int8x8_t zero = vdup_n_s8(static_cast<int8_t>(args.input.quantisation.zero));
    const float16x8_t scale = vdupq_n_f16(static_cast<float16_t>(args.input.quantisation.scale));
    convert_rows_of<16, int8_t, uint16_t>(args, begin, end, [=](const int8_t* x, uint16_t* y) {
        const int8x16_t bytes = vld1q_s8(x);
        const int16x8_t low = vsubl_s8(vget_low_s8(bytes), zero), high = vsubl_s8(vget_high_s8(bytes), zero);
        vst1q_u16(y, vreinterpretq_u16_f16(vmulq_f16(vcvtq_f16_s16(low), scale)));
        vst1q_u16(y + 8, vreinterpretq_u16_f16(vmulq_f16(vcvtq_f16_s16(high), scale)));
    });
}

void requantise_on_neon(const ConvertArgs& args, size_t begin, size_t end) {
    const Quantisation from = args.input.quantisation, to = args.output.quantisation;
    const int8x8_t before = vdup_n_s8(static_cast<int8_t>(from.zero));
    const float32x4_t factor = vdupq_n_f32(from.scale / to.scale),
                      zero = vdupq_n_f32(static_cast<float>(to.zero));
    const auto whole = [=](int16x8_t x) {
        const float32x4_t low = vcvtq_f32_s32(vmovl_s16(vget_low_s16(x))),
                          high = vcvtq_f32_s32(vmovl_high_s16(x));
        const int32x4_t y[2] = {vcvtnq_s32_f32(vfmaq_f32(zero, low, factor)),
                                vcvtnq_s32_f32(vfmaq_f32(zero, high, factor))};
        return vqmovn_s16(vqmovn_high_s32(vqmovn_s32(y[0]), y[1]));
    };
    convert_rows_of<16, int8_t, int8_t>(args, begin, end, [=](const int8_t* x, int8_t* y) {
        const int8x16_t bytes = vld1q_s8(x);
        vst1q_s8(y, vcombine_s8(whole(vsubl_s8(vget_low_s8(bytes), before)),
                                whole(vsubl_s8(vget_high_s8(bytes), before))));
    });
}

constexpr ConvertKernels neon_conversions() {
    constexpr auto f32 = static_cast<size_t>(DType::Float32), f16 = static_cast<size_t>(DType::Float16),
                   s8 = static_cast<size_t>(DType::Int8);
    ConvertKernels kernels;
    kernels.of[f32][s8] = quantise_on_neon;
    kernels.of[s8][f32] = dequantise_on_neon;
    kernels.of[s8][s8] = requantise_on_neon;
    kernels.of[f16][s8] = quantise_half_on_neon;
    kernels.of[s8][f16] = dequantise_to_half_on_neon;
    return kernels;
}

constexpr ConvertKernels kConvertInt8Neon = neon_conversions();

}  // namespace
}  // namespace mobileinst
