#pragma once

// What the kernels need of vectors beyond arithmetic. Include after one of core/simd_*.h.

namespace mobileinst {
namespace {

#if defined(__AVX512F__)

inline Vec divide(Vec a, Vec b) { return {_mm512_div_ps(a.v, b.v)}; }
inline Vec larger_of(Vec a, Vec b) { return {_mm512_maskz_max_ps(0xffff, a.v, b.v)}; }
/// One bit per lane, set where a > b.
inline uint32_t lanes_above(Vec a, Vec b) { return _mm512_cmp_ps_mask(a.v, b.v, _CMP_GT_OQ); }
/// x where a > b, else 0.
inline Vec where_above(Vec x, Vec a, Vec b) {
    return {_mm512_maskz_mov_ps(_mm512_cmp_ps_mask(a.v, b.v, _CMP_GT_OQ), x.v)};
}
/// x * 2^n of whole numbers n in [-126, 127].
inline Vec times_power_of_two(Vec x, Vec n) {
    const __m512i exponent =
        _mm512_maskz_add_epi32(0xffff, _mm512_maskz_cvtps_epi32(0xffff, n.v), _mm512_set1_epi32(127));
    return x * Vec{_mm512_castsi512_ps(_mm512_maskz_slli_epi32(0xffff, exponent, 23))};
}

#elif defined(__AVX2__)

inline Vec divide(Vec a, Vec b) { return {_mm256_div_ps(a.v, b.v)}; }
inline Vec larger_of(Vec a, Vec b) { return {_mm256_max_ps(a.v, b.v)}; }
/// One bit per lane, set where a > b.
inline uint32_t lanes_above(Vec a, Vec b) {
    return static_cast<uint32_t>(_mm256_movemask_ps(_mm256_cmp_ps(a.v, b.v, _CMP_GT_OQ)));
}
/// x where a > b, else 0.
inline Vec where_above(Vec x, Vec a, Vec b) {
    return {_mm256_and_ps(_mm256_cmp_ps(a.v, b.v, _CMP_GT_OQ), x.v)};
}
/// x * 2^n of whole numbers n in [-126, 127].
inline Vec times_power_of_two(Vec x, Vec n) {
    const __m256i exponent = _mm256_add_epi32(_mm256_cvtps_epi32(n.v), _mm256_set1_epi32(127));
    return x * Vec{_mm256_castsi256_ps(_mm256_slli_epi32(exponent, 23))};
}

#elif defined(__aarch64__)

inline Vec divide(Vec a, Vec b) { return {vdivq_f32(a.v, b.v)}; }
inline Vec larger_of(Vec a, Vec b) { return {vmaxq_f32(a.v, b.v)}; }
/// One bit per lane, set where a > b.
inline uint32_t lanes_above(Vec a, Vec b) {
    const uint32x4_t bits = {1, 2, 4, 8};
    return vaddvq_u32(vandq_u32(vcgtq_f32(a.v, b.v), bits));
}
/// x where a > b, else 0.
inline Vec where_above(Vec x, Vec a, Vec b) {
    return {vreinterpretq_f32_u32(vandq_u32(vcgtq_f32(a.v, b.v), vreinterpretq_u32_f32(x.v)))};
}
/// x * 2^n of whole numbers n, where neither x nor the product is 0, denormal or infinite.
inline Vec times_power_of_two(Vec x, Vec n) {
    const int32x4_t exponent = vshlq_n_s32(vcvtq_s32_f32(n.v), 23);
    return {vreinterpretq_f32_s32(vaddq_s32(vreinterpretq_s32_f32(x.v), exponent))};
}

#endif

/// The largest of all lanes.
inline float largest_lane(Vec x) {
    float lanes[Vec::kWidth];
    x.store(lanes);
    float found = lanes[0];
    for (size_t i = 1; i < Vec::kWidth; ++i) {
        found = lanes[i] > found ? lanes[i] : found;
    }
    return found;
}

/// The sum of all lanes, added pairwise.
inline float sum_of_lanes(Vec x) {
    float lanes[Vec::kWidth];
    x.store(lanes);
    for (size_t half = Vec::kWidth / 2; half > 0; half /= 2) {
        for (size_t i = 0; i < half; ++i) {
            lanes[i] += lanes[i + half];
        }
    }
    return lanes[0];
}

/// e^x within 2 ULP for x in [-87, 88]; clamped outside. By 2^n * e^r with |r| <= ln(2) / 2 and the Taylor
/// polynomial of degree 7 of e^r, whose truncation error there is 5e-9.
inline Vec exponential(Vec x) {
    x = clamp(x, Vec::fill(-87.0f), Vec::fill(88.0f));
    const Vec round = Vec::fill(12582912.0f);  // 1.5 * 2^23: adding it rounds to a whole number
    const Vec n = fma(x, Vec::fill(1.44269504f), round) - round;
    Vec r = fma(n, Vec::fill(-0.693359375f), x);  // ln(2) in two parts, the first exact in few bits
    r = fma(n, Vec::fill(2.12194440e-4f), r);
    Vec p = Vec::fill(1.0f / 5040.0f);
    p = fma(p, r, Vec::fill(1.0f / 720.0f));
    p = fma(p, r, Vec::fill(1.0f / 120.0f));
    p = fma(p, r, Vec::fill(1.0f / 24.0f));
    p = fma(p, r, Vec::fill(1.0f / 6.0f));
    p = fma(p, r, Vec::fill(0.5f));
    p = fma(p, r, Vec::fill(1.0f));
    p = fma(p, r, Vec::fill(1.0f));
    return times_power_of_two(p, n);
}

/// 1 / (1 + e^-x).
inline Vec sigmoid(Vec x) {
    const Vec one = Vec::fill(1.0f);
    return divide(one, one + exponential(Vec::zero() - x));
}

}  // namespace
}  // namespace mobileinst
