#pragma once

// Eight floats in an AVX2 register. Everything here has internal linkage: a file compiled for AVX2 must not
// lend its code to files that run on lesser machines.

#include <immintrin.h>

#include <cstddef>
#include <cstdint>

namespace mobileinst {
namespace {

alignas(32) constexpr int32_t kMaskSource[16] = {-1, -1, -1, -1, -1, -1, -1, -1, 0, 0, 0, 0, 0, 0, 0, 0};

/// Selects the first `count` (0..8) floats.
inline __m256i first_lanes(size_t count) {
    return _mm256_loadu_si256(reinterpret_cast<const __m256i*>(kMaskSource + 8 - count));
}

struct Vec {
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

inline Vec operator+(Vec a, Vec b) { return {_mm256_add_ps(a.v, b.v)}; }
inline Vec operator-(Vec a, Vec b) { return {_mm256_sub_ps(a.v, b.v)}; }
inline Vec operator*(Vec a, Vec b) { return {_mm256_mul_ps(a.v, b.v)}; }
/// a * b + c, rounded once.
inline Vec fma(Vec a, Vec b, Vec c) { return {_mm256_fmadd_ps(a.v, b.v, c.v)}; }
/// The larger of both; x where it is NaN.
inline Vec at_least(Vec x, Vec lo) { return {_mm256_max_ps(lo.v, x.v)}; }
/// x within [lo, hi]; NaN stays NaN.
inline Vec clamp(Vec x, Vec lo, Vec hi) { return {_mm256_min_ps(hi.v, _mm256_max_ps(lo.v, x.v))}; }

}  // namespace
}  // namespace mobileinst

#include "core/simd_x86.inl.h"
