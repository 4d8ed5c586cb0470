#pragma once

// AVX2: eight floats in a register. Included by simd/vec.h.

#include <immintrin.h>

#include <cstddef>
#include <cstdint>

#include "core/tier.h"

namespace mobileinst {
namespace {

alignas(32) constexpr int32_t kMaskSource[16] = {-1, -1, -1, -1, -1, -1, -1, -1, 0, 0, 0, 0, 0, 0, 0, 0};

/// Selects the first `count` (0..8) floats.
inline __m256i first_lanes(size_t count) {
    return _mm256_loadu_si256(reinterpret_cast<const __m256i*>(kMaskSource + 8 - count));
}

constexpr Tier kVecTier = Tier::Avx2;

template <typename T>
struct Vec;

template <>
struct Vec<float> {
    static constexpr size_t kWidth = 8;
    __m256 v;

    static Vec load(const float* p) { return {_mm256_loadu_ps(p)}; }
    static Vec load_first(const float* p, size_t count) {
        return {_mm256_maskload_ps(p, first_lanes(count))};
    }
    /// The whole vector, or only the first `count` floats (the others 0) where there are fewer.
    static Vec load_up_to(const float* p, size_t count) {
        return count >= kWidth ? load(p) : load_first(p, count);
    }
    static Vec broadcast(const float* p) { return {_mm256_broadcast_ss(p)}; }
    static Vec fill(float x) { return {_mm256_set1_ps(x)}; }
    static Vec zero() { return {_mm256_setzero_ps()}; }
    void store(float* p) const { _mm256_storeu_ps(p, v); }
    void store_first(float* p, size_t count) const { _mm256_maskstore_ps(p, first_lanes(count), v); }
    void store_up_to(float* p, size_t count) const {
        if (count >= kWidth) {
            store(p);
        } else {
            store_first(p, count);
        }
    }
};

inline Vec<float> operator+(Vec<float> a, Vec<float> b) { return {_mm256_add_ps(a.v, b.v)}; }
inline Vec<float> operator-(Vec<float> a, Vec<float> b) { return {_mm256_sub_ps(a.v, b.v)}; }
inline Vec<float> operator*(Vec<float> a, Vec<float> b) { return {_mm256_mul_ps(a.v, b.v)}; }
/// a * b + c, rounded once.
inline Vec<float> fma(Vec<float> a, Vec<float> b, Vec<float> c) { return {_mm256_fmadd_ps(a.v, b.v, c.v)}; }
/// The larger of both; x where it is NaN.
inline Vec<float> at_least(Vec<float> x, Vec<float> lo) { return {_mm256_max_ps(lo.v, x.v)}; }
/// x within [lo, hi]; NaN stays NaN.
inline Vec<float> clamp(Vec<float> x, Vec<float> lo, Vec<float> hi) {
    return {_mm256_min_ps(hi.v, _mm256_max_ps(lo.v, x.v))};
}
inline Vec<float> divide(Vec<float> a, Vec<float> b) { return {_mm256_div_ps(a.v, b.v)}; }
inline Vec<float> larger_of(Vec<float> a, Vec<float> b) { return {_mm256_max_ps(a.v, b.v)}; }
/// One bit per lane, set where a > b.
inline uint32_t lanes_above(Vec<float> a, Vec<float> b) {
    return static_cast<uint32_t>(_mm256_movemask_ps(_mm256_cmp_ps(a.v, b.v, _CMP_GT_OQ)));
}
/// x where a > b, else 0.
inline Vec<float> where_above(Vec<float> x, Vec<float> a, Vec<float> b) {
    return {_mm256_and_ps(_mm256_cmp_ps(a.v, b.v, _CMP_GT_OQ), x.v)};
}
/// x * 2^n of whole numbers n in [-126, 127].
inline Vec<float> times_power_of_two(Vec<float> x, Vec<float> n) {
    const __m256i exponent = _mm256_add_epi32(_mm256_cvtps_epi32(n.v), _mm256_set1_epi32(127));
    return x * Vec<float>{_mm256_castsi256_ps(_mm256_slli_epi32(exponent, 23))};
}

}  // namespace
}  // namespace mobileinst

#include "simd/x86.h"
