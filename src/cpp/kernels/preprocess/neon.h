#pragma once

#include "kernels/preprocess/vector.h"
#include "simd/vec.h"

namespace mobileinst {
namespace {

/// Four floats, of which three are a pixel's colors.
struct Pixel {
    float32x4_t v;

    /// As many bytes as a vector has floats.
    static Vec<float> load_bytes(const uint8_t* p) {
        uint32_t four;
        __builtin_memcpy(&four, p, sizeof(four));
        const uint16x8_t wide = vmovl_u8(vcreate_u8(four));
        return {vcvtq_f32_u32(vmovl_u16(vget_low_u16(wide)))};
    }
    static Pixel load(const float* p) { return {vld1q_f32(p)}; }
    /// a + (b - a) * weight
    static Pixel mix(Pixel a, Pixel b, float weight) {
#if defined(__aarch64__)
        return {vfmaq_n_f32(a.v, vsubq_f32(b.v, a.v), weight)};
#else
        return {vfmaq_f32(a.v, vsubq_f32(b.v, a.v), vdupq_n_f32(weight))};
#endif
    }
    /// x * scale + shift
    static Pixel scaled(Pixel x, Pixel scale, Pixel shift) { return {vfmaq_f32(shift.v, x.v, scale.v)}; }
    Pixel reversed() const {
#if defined(__aarch64__)
        const uint8x16_t order = {8, 9, 10, 11, 4, 5, 6, 7, 0, 1, 2, 3, 12, 13, 14, 15};
        return {vreinterpretq_f32_u8(vqtbl1q_u8(vreinterpretq_u8_f32(v), order))};
#else
        const float32x4_t swapped = vsetq_lane_f32(vgetq_lane_f32(v, 2), v, 0);
        return {vsetq_lane_f32(vgetq_lane_f32(v, 0), swapped, 2)};
#endif
    }
    void store(float* p) const { vst1q_f32(p, v); }
    void store_three(float* p) const {
        vst1_f32(p, vget_low_f32(v));
        vst1q_lane_f32(p + 2, v, 2);
    }
};

constexpr PreprocessKernels kPreprocess = {preprocess_scratch_size, preprocess_run<Pixel>};

}  // namespace
}  // namespace mobileinst
