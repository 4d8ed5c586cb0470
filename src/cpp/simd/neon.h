#pragma once

// NEON of armv8-a, and of armv7-a with its fused multiply-add (VFPv4): four floats in a register. The latter
// has 16 registers instead of 32, no division, and takes denormal numbers for 0. Included by simd/vec.h.

#include <arm_neon.h>

#include <cstddef>
#include <cstdint>

#include "core/tier.h"

namespace mobileinst {
namespace {

#if defined(__aarch64__)
constexpr Tier kVecTier = Tier::Neon;
#else
constexpr Tier kVecTier = Tier::NeonArmv7;
#endif

template <typename T>
struct Vec;

template <>
struct Vec<float> {
    static constexpr size_t kWidth = 4;
    float32x4_t v;

    static Vec load(const float* p) { return {vld1q_f32(p)}; }
    static Vec load_first(const float* p, size_t count) {
        float lanes[4] = {};
        for (size_t i = 0; i < count; ++i) {
            lanes[i] = p[i];
        }
        return {vld1q_f32(lanes)};
    }
    /// The whole vector, or only the first `count` floats (the others 0) where there are fewer.
    static Vec load_up_to(const float* p, size_t count) {
        return count >= kWidth ? load(p) : load_first(p, count);
    }
    static Vec broadcast(const float* p) { return {vld1q_dup_f32(p)}; }
    static Vec fill(float x) { return {vdupq_n_f32(x)}; }
    static Vec zero() { return {vdupq_n_f32(0.0f)}; }
    void store(float* p) const { vst1q_f32(p, v); }
    void store_first(float* p, size_t count) const {
        float lanes[4];
        vst1q_f32(lanes, v);
        for (size_t i = 0; i < count; ++i) {
            p[i] = lanes[i];
        }
    }
    void store_up_to(float* p, size_t count) const {
        if (count >= kWidth) {
            store(p);
        } else {
            store_first(p, count);
        }
    }
};

inline Vec<float> operator+(Vec<float> a, Vec<float> b) { return {vaddq_f32(a.v, b.v)}; }
inline Vec<float> operator-(Vec<float> a, Vec<float> b) { return {vsubq_f32(a.v, b.v)}; }
inline Vec<float> operator*(Vec<float> a, Vec<float> b) { return {vmulq_f32(a.v, b.v)}; }
/// a * b + c, rounded once.
inline Vec<float> fma(Vec<float> a, Vec<float> b, Vec<float> c) { return {vfmaq_f32(c.v, a.v, b.v)}; }
/// The larger of both; x where it is NaN.
inline Vec<float> at_least(Vec<float> x, Vec<float> lo) { return {vmaxq_f32(lo.v, x.v)}; }
/// x within [lo, hi]; NaN stays NaN.
inline Vec<float> clamp(Vec<float> x, Vec<float> lo, Vec<float> hi) {
    return {vminq_f32(hi.v, vmaxq_f32(lo.v, x.v))};
}
inline Vec<float> larger_of(Vec<float> a, Vec<float> b) { return {vmaxq_f32(a.v, b.v)}; }
#if defined(__aarch64__)
/// w * x[LANE] + c, rounded once.
template <int LANE>
inline __attribute__((always_inline)) Vec<float> fma_lane(Vec<float> w, Vec<float> x, Vec<float> c) {
    return {vfmaq_laneq_f32(c.v, w.v, x.v, LANE)};
}
/// Four vectors that lie one after the other, by one instruction.
inline __attribute__((always_inline)) void load_four(const float* p, Vec<float> (&x)[4]) {
    const float32x4x4_t loaded = vld1q_f32_x4(p);
#pragma GCC unroll 4
    for (int i = 0; i < 4; ++i) {
        x[i].v = loaded.val[i];
    }
}
inline Vec<float> divide(Vec<float> a, Vec<float> b) { return {vdivq_f32(a.v, b.v)}; }
/// The sum of all lanes.
inline uint32_t sum_of(uint32x4_t x) { return vaddvq_u32(x); }
#else
/// a / b, where b's reciprocal is neither denormal nor infinite: the estimate of it made exact to the last
/// bit or two by Newton's steps.
inline Vec<float> divide(Vec<float> a, Vec<float> b) {
    float32x4_t reciprocal = vrecpeq_f32(b.v);
    reciprocal = vmulq_f32(reciprocal, vrecpsq_f32(reciprocal, b.v));
    reciprocal = vmulq_f32(reciprocal, vrecpsq_f32(reciprocal, b.v));
    const float32x4_t quotient = vmulq_f32(a.v, reciprocal);
    return {vfmaq_f32(quotient, vfmsq_f32(a.v, quotient, b.v), reciprocal)};
}
/// The sum of all lanes.
inline uint32_t sum_of(uint32x4_t x) {
    const uint32x2_t pairs = vpadd_u32(vget_low_u32(x), vget_high_u32(x));
    return vget_lane_u32(vpadd_u32(pairs, pairs), 0);
}
#endif
/// One bit per lane, set where a > b.
inline uint32_t lanes_above(Vec<float> a, Vec<float> b) {
    const uint32x4_t bits = {1, 2, 4, 8};
    return sum_of(vandq_u32(vcgtq_f32(a.v, b.v), bits));
}
/// x where a > b, else 0.
inline Vec<float> where_above(Vec<float> x, Vec<float> a, Vec<float> b) {
    return {vreinterpretq_f32_u32(vandq_u32(vcgtq_f32(a.v, b.v), vreinterpretq_u32_f32(x.v)))};
}
/// x * 2^n of whole numbers n, where neither x nor the product is 0, denormal or infinite.
inline Vec<float> times_power_of_two(Vec<float> x, Vec<float> n) {
    const int32x4_t exponent = vshlq_n_s32(vcvtq_s32_f32(n.v), 23);
    return {vreinterpretq_f32_s32(vaddq_s32(vreinterpretq_s32_f32(x.v), exponent))};
}

/// x, which is not read from memory again by each instruction that uses it.
inline __attribute__((always_inline)) Vec<float> in_register(Vec<float> x) {
    asm("" : "+w"(x.v));
    return x;
}

/// p, computed here and now: addresses behind it are then immediate offsets, several loads or stores of which
/// make one instruction, instead of sums in registers of their own.
template <typename T>
inline __attribute__((always_inline)) T* settled(T* p) {
    asm("" : "+r"(p));
    return p;
}

/// base + i * step, given the address before it: one addition.
template <typename T>
inline __attribute__((always_inline)) T* next_address(T* previous, T* /*base*/, size_t /*i*/, size_t step) {
    return settled(previous + step);
}

}  // namespace
}  // namespace mobileinst
