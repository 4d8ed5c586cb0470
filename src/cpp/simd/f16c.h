#pragma once

// Half precision on AVX2 and F16C, whose arithmetic is in float: each result is rounded to half, as
// processors with half-precision arithmetic round it. Slower than floats, but the same numbers as there.
// Included by simd/vec.h.

namespace mobileinst {
namespace {

template <>
struct Vec<Half> {
    static constexpr size_t kWidth = 8;
    __m256 v;  // floats that are halves

    static Vec rounded(__m256 x) { return {_mm256_cvtph_ps(_mm256_cvtps_ph(x, _MM_FROUND_TO_NEAREST_INT))}; }
    static Vec load(const Half* p) {
        return {_mm256_cvtph_ps(_mm_loadu_si128(reinterpret_cast<const __m128i*>(p)))};
    }
    static Vec load_first(const Half* p, size_t count) {
        Half lanes[8] = {};
        for (size_t i = 0; i < count; ++i) {
            lanes[i] = p[i];
        }
        return load(lanes);
    }
    /// The whole vector, or only the first `count` halves (the others 0) where there are fewer.
    static Vec load_up_to(const Half* p, size_t count) {
        return count >= kWidth ? load(p) : load_first(p, count);
    }
    static Vec broadcast(const Half* p) { return fill(static_cast<float>(*p)); }
    static Vec fill(float x) { return rounded(_mm256_set1_ps(x)); }
    static Vec zero() { return {_mm256_setzero_ps()}; }
    void store(Half* p) const {
        _mm_storeu_si128(reinterpret_cast<__m128i*>(p), _mm256_cvtps_ph(v, _MM_FROUND_TO_NEAREST_INT));
    }
    void store_first(Half* p, size_t count) const {
        Half lanes[8];
        store(lanes);
        for (size_t i = 0; i < count; ++i) {
            p[i] = lanes[i];
        }
    }
    void store_up_to(Half* p, size_t count) const {
        if (count >= kWidth) {
            store(p);
        } else {
            store_first(p, count);
        }
    }
};

inline Vec<Half> operator+(Vec<Half> a, Vec<Half> b) { return Vec<Half>::rounded(_mm256_add_ps(a.v, b.v)); }
inline Vec<Half> operator-(Vec<Half> a, Vec<Half> b) { return Vec<Half>::rounded(_mm256_sub_ps(a.v, b.v)); }
inline Vec<Half> operator*(Vec<Half> a, Vec<Half> b) { return Vec<Half>::rounded(_mm256_mul_ps(a.v, b.v)); }
/// a * b + c; the product of two halves is exact in float.
inline Vec<Half> fma(Vec<Half> a, Vec<Half> b, Vec<Half> c) {
    return Vec<Half>::rounded(_mm256_fmadd_ps(a.v, b.v, c.v));
}
/// The larger of both; x where it is NaN.
inline Vec<Half> at_least(Vec<Half> x, Vec<Half> lo) { return {_mm256_max_ps(lo.v, x.v)}; }
/// x within [lo, hi]; NaN stays NaN.
inline Vec<Half> clamp(Vec<Half> x, Vec<Half> lo, Vec<Half> hi) {
    return {_mm256_min_ps(hi.v, _mm256_max_ps(lo.v, x.v))};
}
inline Vec<Half> divide(Vec<Half> a, Vec<Half> b) { return Vec<Half>::rounded(_mm256_div_ps(a.v, b.v)); }
inline Vec<Half> larger_of(Vec<Half> a, Vec<Half> b) { return {_mm256_max_ps(a.v, b.v)}; }
/// x * 2^n of whole numbers n in [-126, 127].
inline Vec<Half> times_power_of_two(Vec<Half> x, Vec<Half> n) {
    return Vec<Half>::rounded(times_power_of_two(Vec<float>{x.v}, Vec<float>{n.v}).v);
}

/// x, which is not read from memory again by each instruction that uses it.
inline __attribute__((always_inline)) Vec<Half> in_register(Vec<Half> x) {
    asm("" : "+v"(x.v));
    return x;
}

/// Eight halves as floats.
inline Vec<float> load_floats(const Half* p) { return {Vec<Half>::load(p).v}; }
/// Floats rounded to eight halves.
inline void store_floats(Vec<float> x, Half* p) { Vec<Half>{x.v}.store(p); }

}  // namespace
}  // namespace mobileinst
