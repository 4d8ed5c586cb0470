#pragma once

// SSE2, which every x86-64 has: four floats in a register, and no fused multiply-add. Included by simd/vec.h.

#include <emmintrin.h>

#include <cstddef>
#include <cstdint>

#include "core/tier.h"

namespace mobileinst {
namespace {

constexpr Tier kVecTier = Tier::Sse;

template <typename T>
struct Vec;

template <>
struct Vec<float> {
    static constexpr size_t kWidth = 4;
    __m128 v;

    static Vec load(const float* p) { return {_mm_loadu_ps(p)}; }
    static Vec load_first(const float* p, size_t count) {
        float lanes[4] = {};
        for (size_t i = 0; i < count; ++i) {
            lanes[i] = p[i];
        }
        return load(lanes);
    }
    /// The whole vector, or only the first `count` floats (the others 0) where there are fewer.
    static Vec load_up_to(const float* p, size_t count) {
        return count >= kWidth ? load(p) : load_first(p, count);
    }
    static Vec broadcast(const float* p) { return {_mm_load1_ps(p)}; }
    static Vec fill(float x) { return {_mm_set1_ps(x)}; }
    static Vec zero() { return {_mm_setzero_ps()}; }
    void store(float* p) const { _mm_storeu_ps(p, v); }
    void store_first(float* p, size_t count) const {
        float lanes[4];
        store(lanes);
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

inline Vec<float> operator+(Vec<float> a, Vec<float> b) { return {_mm_add_ps(a.v, b.v)}; }
inline Vec<float> operator-(Vec<float> a, Vec<float> b) { return {_mm_sub_ps(a.v, b.v)}; }
inline Vec<float> operator*(Vec<float> a, Vec<float> b) { return {_mm_mul_ps(a.v, b.v)}; }
/// a * b + c, rounded twice: the one set of instructions that can't do it at once.
inline Vec<float> fma(Vec<float> a, Vec<float> b, Vec<float> c) { return a * b + c; }
/// The larger of both; x where it is NaN.
inline Vec<float> at_least(Vec<float> x, Vec<float> lo) { return {_mm_max_ps(lo.v, x.v)}; }
/// x within [lo, hi]; NaN stays NaN.
inline Vec<float> clamp(Vec<float> x, Vec<float> lo, Vec<float> hi) {
    return {_mm_min_ps(hi.v, _mm_max_ps(lo.v, x.v))};
}
inline Vec<float> divide(Vec<float> a, Vec<float> b) { return {_mm_div_ps(a.v, b.v)}; }
inline Vec<float> larger_of(Vec<float> a, Vec<float> b) { return {_mm_max_ps(a.v, b.v)}; }
/// One bit per lane, set where a > b.
inline uint32_t lanes_above(Vec<float> a, Vec<float> b) {
    return static_cast<uint32_t>(_mm_movemask_ps(_mm_cmpgt_ps(a.v, b.v)));
}
/// x where a > b, else 0.
inline Vec<float> where_above(Vec<float> x, Vec<float> a, Vec<float> b) {
    return {_mm_and_ps(_mm_cmpgt_ps(a.v, b.v), x.v)};
}
/// x * 2^n of whole numbers n in [-126, 127].
inline Vec<float> times_power_of_two(Vec<float> x, Vec<float> n) {
    const __m128i exponent = _mm_add_epi32(_mm_cvtps_epi32(n.v), _mm_set1_epi32(127));
    return x * Vec<float>{_mm_castsi128_ps(_mm_slli_epi32(exponent, 23))};
}

}  // namespace
}  // namespace mobileinst

#include "simd/x86.h"
