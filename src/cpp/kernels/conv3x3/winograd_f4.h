#pragma once

// The transforms of F(4x4, 3x3) with the points 0, 1, -1, 2, -2 and infinity.

#include <cstddef>

#include "simd/vec.h"

namespace mobileinst {
namespace {

struct WinogradF4 {
    static constexpr size_t kOutputs = 4;  // of a tile, in each dimension
    static constexpr size_t kInputs = 6;

    /// One dimension of the input transform, in place.
    static inline __attribute__((always_inline)) void transform_input(Vec<Element> (&d)[kInputs]) {
        const Vec<Element> two = Vec<Element>::fill(2.0f), minus_two = Vec<Element>::fill(-2.0f),
                           four = Vec<Element>::fill(4.0f), minus_four = Vec<Element>::fill(-4.0f),
                           minus_five = Vec<Element>::fill(-5.0f);
        const Vec<Element> even1 = fma(minus_four, d[2], d[4]), odd1 = fma(minus_four, d[1], d[3]);
        const Vec<Element> even2 = d[4] - d[2], odd2 = d[3] - d[1];
        d[0] = fma(four, d[0], fma(minus_five, d[2], d[4]));
        d[5] = fma(four, d[1], fma(minus_five, d[3], d[5]));
        d[1] = even1 + odd1;
        d[2] = even1 - odd1;
        d[3] = fma(two, odd2, even2);
        d[4] = fma(minus_two, odd2, even2);
    }

    /// One dimension of the output transform: six values to the first four, in place.
    static inline __attribute__((always_inline)) void transform_output(Vec<Element> (&m)[kInputs]) {
        const Vec<Element> two = Vec<Element>::fill(2.0f), four = Vec<Element>::fill(4.0f),
                           eight = Vec<Element>::fill(8.0f);
        const Vec<Element> sum1 = m[1] + m[2], difference1 = m[1] - m[2];
        const Vec<Element> sum2 = m[3] + m[4], difference2 = m[3] - m[4];
        m[0] = (m[0] + sum1) + sum2;
        m[1] = fma(two, difference2, difference1);
        m[2] = fma(four, sum2, sum1);
        m[3] = fma(eight, difference2, m[5] + difference1);
    }

    /// transform_output() plus `bias`: one addition, to the value at point 1, which goes into all outputs
    /// with factor 1.
    static inline __attribute__((always_inline)) void transform_output(Vec<Element> (&m)[kInputs],
                                                                       Vec<Element> bias) {
        m[1] = m[1] + bias;
        transform_output(m);
    }

    /// One dimension of the weight transform.
    static inline __attribute__((always_inline)) void transform_weights(double a, double b, double c,
                                                                        double (&u)[kInputs]) {
        u[0] = a * (1.0 / 4);
        u[1] = (a + c + b) * (-1.0 / 6);
        u[2] = (a + c - b) * (-1.0 / 6);
        u[3] = (a + 4 * c + 2 * b) * (1.0 / 24);
        u[4] = (a + 4 * c - 2 * b) * (1.0 / 24);
        u[5] = c;
    }
};

}  // namespace
}  // namespace mobileinst
