#pragma once

// Functions of vectors beyond arithmetic.

#include "simd/vec.h"

namespace mobileinst {
namespace {

/// The largest of all lanes.
inline float largest_lane(Vec<float> x) {
    float lanes[Vec<float>::kWidth];
    x.store(lanes);
    float found = lanes[0];
    for (size_t i = 1; i < Vec<float>::kWidth; ++i) {
        found = lanes[i] > found ? lanes[i] : found;
    }
    return found;
}

/// The sum of all lanes, added pairwise.
inline float sum_of_lanes(Vec<float> x) {
    float lanes[Vec<float>::kWidth];
    x.store(lanes);
    for (size_t half = Vec<float>::kWidth / 2; half > 0; half /= 2) {
        for (size_t i = 0; i < half; ++i) {
            lanes[i] += lanes[i + half];
        }
    }
    return lanes[0];
}

/// e^x within 2 ULP for x in [-87, 88]; clamped outside. By 2^n * e^r with |r| <= ln(2) / 2 and the Taylor
/// polynomial of degree 7 of e^r, whose truncation error there is 5e-9.
inline Vec<float> exponential(Vec<float> x) {
    x = clamp(x, Vec<float>::fill(-87.0f), Vec<float>::fill(88.0f));
    const Vec<float> round = Vec<float>::fill(12582912.0f);  // 1.5 * 2^23: adding it rounds to a whole number
    const Vec<float> n = fma(x, Vec<float>::fill(1.44269504f), round) - round;
    Vec<float> r =
        fma(n, Vec<float>::fill(-0.693359375f), x);  // ln(2) in two parts, the first exact in few bits
    r = fma(n, Vec<float>::fill(2.12194440e-4f), r);
    Vec<float> p = Vec<float>::fill(1.0f / 5040.0f);
    p = fma(p, r, Vec<float>::fill(1.0f / 720.0f));
    p = fma(p, r, Vec<float>::fill(1.0f / 120.0f));
    p = fma(p, r, Vec<float>::fill(1.0f / 24.0f));
    p = fma(p, r, Vec<float>::fill(1.0f / 6.0f));
    p = fma(p, r, Vec<float>::fill(0.5f));
    p = fma(p, r, Vec<float>::fill(1.0f));
    p = fma(p, r, Vec<float>::fill(1.0f));
    return times_power_of_two(p, n);
}

#if defined(MOBILEINST_HALF)
/// e^x within a few ULP for x in [-9.68, 11]; clamped outside. As that of floats, with a polynomial of degree
/// 4, whose truncation error is 4e-5.
inline Vec<Half> exponential(Vec<Half> x) {
    x = clamp(x, Vec<Half>::fill(-9.6875f), Vec<Half>::fill(11.0f));
    const Vec<Half> round = Vec<Half>::fill(1536.0f);  // 1.5 * 2^10
    const Vec<Half> n = fma(x, Vec<Half>::fill(1.44269504f), round) - round;
    Vec<Half> r = fma(n, Vec<Half>::fill(-0.693359375f), x);
    r = fma(n, Vec<Half>::fill(2.12194440e-4f), r);
    Vec<Half> p = Vec<Half>::fill(1.0f / 24.0f);
    p = fma(p, r, Vec<Half>::fill(1.0f / 6.0f));
    p = fma(p, r, Vec<Half>::fill(0.5f));
    p = fma(p, r, Vec<Half>::fill(1.0f));
    p = fma(p, r, Vec<Half>::fill(1.0f));
    return times_power_of_two(p, n);
}
#endif

/// 1 / (1 + e^-x).
template <typename T>
inline Vec<T> sigmoid(Vec<T> x) {
    const Vec<T> one = Vec<T>::fill(1.0f);
    return divide(one, one + exponential(Vec<T>::zero() - x));
}

}  // namespace
}  // namespace mobileinst
