#pragma once

// Sixteen floats in an AVX-512 register. Everything here has internal linkage: a file compiled for AVX-512
// must not lend its code to files that run on lesser machines.

#include <immintrin.h>

#include <cstddef>
#include <cstdint>

namespace mobileinst {
namespace {

/// Selects the first `count` (0..16) floats.
inline __mmask16 first_lanes(size_t count) { return static_cast<__mmask16>((1u << count) - 1u); }

struct Vec {
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

inline Vec operator+(Vec a, Vec b) { return {_mm512_add_ps(a.v, b.v)}; }
inline Vec operator-(Vec a, Vec b) { return {_mm512_sub_ps(a.v, b.v)}; }
inline Vec operator*(Vec a, Vec b) { return {_mm512_mul_ps(a.v, b.v)}; }
/// a * b + c, rounded once.
inline Vec fma(Vec a, Vec b, Vec c) { return {_mm512_fmadd_ps(a.v, b.v, c.v)}; }
/// The larger of both; x where it is NaN.
inline Vec at_least(Vec x, Vec lo) { return {_mm512_maskz_max_ps(0xffff, lo.v, x.v)}; }
/// x within [lo, hi]; NaN stays NaN.
inline Vec clamp(Vec x, Vec lo, Vec hi) {
    // The masked forms, because GCC 12 warns of its own undefined pass-through operand in the plain ones.
    const __mmask16 all = 0xffff;
    return {_mm512_maskz_min_ps(all, hi.v, _mm512_maskz_max_ps(all, lo.v, x.v))};
}

}  // namespace
}  // namespace mobileinst

#include "core/simd_x86.inl.h"
