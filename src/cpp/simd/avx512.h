#pragma once

// AVX-512: sixteen floats in a register. Included by simd/vec.h.

#include <immintrin.h>

#include <cstddef>
#include <cstdint>

#include "core/tier.h"

namespace mobileinst {
namespace {

/// Selects the first `count` (0..16) floats.
inline __mmask16 first_lanes(size_t count) { return static_cast<__mmask16>((1u << count) - 1u); }

constexpr Tier kVecTier = Tier::Avx512;

template <typename T>
struct Vec;

template <>
struct Vec<float> {
    static constexpr size_t kWidth = 16;
    __m512 v;

    static Vec load(const float* p) { return {_mm512_loadu_ps(p)}; }
    static Vec load_first(const float* p, size_t count) {
        return {_mm512_maskz_loadu_ps(first_lanes(count), p)};
    }
    /// The whole vector, or only the first `count` floats (the others 0) where there are fewer.
    static Vec load_up_to(const float* p, size_t count) {
        return count >= kWidth ? load(p) : load_first(p, count);
    }
    static Vec broadcast(const float* p) { return {_mm512_set1_ps(*p)}; }
    static Vec fill(float x) { return {_mm512_set1_ps(x)}; }
    static Vec zero() { return {_mm512_setzero_ps()}; }
    void store(float* p) const { _mm512_storeu_ps(p, v); }
    void store_first(float* p, size_t count) const { _mm512_mask_storeu_ps(p, first_lanes(count), v); }
    void store_up_to(float* p, size_t count) const {
        if (count >= kWidth) {
            store(p);
        } else {
            store_first(p, count);
        }
    }
};

inline Vec<float> operator+(Vec<float> a, Vec<float> b) { return {_mm512_add_ps(a.v, b.v)}; }
inline Vec<float> operator-(Vec<float> a, Vec<float> b) { return {_mm512_sub_ps(a.v, b.v)}; }
inline Vec<float> operator*(Vec<float> a, Vec<float> b) { return {_mm512_mul_ps(a.v, b.v)}; }
/// a * b + c, rounded once.
inline Vec<float> fma(Vec<float> a, Vec<float> b, Vec<float> c) { return {_mm512_fmadd_ps(a.v, b.v, c.v)}; }
/// The larger of both; x where it is NaN.
inline Vec<float> at_least(Vec<float> x, Vec<float> lo) { return {_mm512_maskz_max_ps(0xffff, lo.v, x.v)}; }
/// x within [lo, hi]; NaN stays NaN.
inline Vec<float> clamp(Vec<float> x, Vec<float> lo, Vec<float> hi) {
    // The masked forms, because GCC 12 warns of its own undefined pass-through operand in the plain ones.
    const __mmask16 all = 0xffff;
    return {_mm512_maskz_min_ps(all, hi.v, _mm512_maskz_max_ps(all, lo.v, x.v))};
}
inline Vec<float> divide(Vec<float> a, Vec<float> b) { return {_mm512_div_ps(a.v, b.v)}; }
inline Vec<float> larger_of(Vec<float> a, Vec<float> b) { return {_mm512_maskz_max_ps(0xffff, a.v, b.v)}; }
/// One bit per lane, set where a > b.
inline uint32_t lanes_above(Vec<float> a, Vec<float> b) { return _mm512_cmp_ps_mask(a.v, b.v, _CMP_GT_OQ); }
/// x where a > b, else 0.
inline Vec<float> where_above(Vec<float> x, Vec<float> a, Vec<float> b) {
    return {_mm512_maskz_mov_ps(_mm512_cmp_ps_mask(a.v, b.v, _CMP_GT_OQ), x.v)};
}
/// x * 2^n of whole numbers n in [-126, 127].
inline Vec<float> times_power_of_two(Vec<float> x, Vec<float> n) {
    const __m512i exponent =
        _mm512_maskz_add_epi32(0xffff, _mm512_maskz_cvtps_epi32(0xffff, n.v), _mm512_set1_epi32(127));
    return x * Vec<float>{_mm512_castsi512_ps(_mm512_maskz_slli_epi32(0xffff, exponent, 23))};
}

}  // namespace
}  // namespace mobileinst

#include "simd/x86.h"
