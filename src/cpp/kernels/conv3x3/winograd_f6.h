#pragma once

// The transforms of F(6x6, 3x3) with the points 0, 1, -1, 2, -2, 1/2, -1/2 and infinity.

#include <cstddef>

#include "simd/vec.h"

namespace mobileinst {
namespace {

struct WinogradF6 {
    static constexpr size_t kOutputs = 6;  // of a tile, in each dimension
    static constexpr size_t kInputs = 8;

    /// One dimension of the input transform, in place.
    static inline __attribute__((always_inline)) void transform_input(Vec<Element> (&d)[kInputs]) {
        const Vec<Element> quarter = Vec<Element>::fill(0.25f), half = Vec<Element>::fill(0.5f),
                           minus_half = Vec<Element>::fill(-0.5f),
                           minus_one_quarter = Vec<Element>::fill(-1.25f), four = Vec<Element>::fill(4.0f),
                           minus_four_quarter = Vec<Element>::fill(-4.25f),
                           minus_five = Vec<Element>::fill(-5.0f), five_quarter = Vec<Element>::fill(5.25f);
        const Vec<Element> even1 = fma(minus_four_quarter, d[4], d[2] + d[6]),
                           odd1 = fma(minus_four_quarter, d[3], d[1] + d[5]);
        const Vec<Element> even2 = fma(quarter, d[2], fma(minus_one_quarter, d[4], d[6])),
                           odd2 = fma(four, d[5], fma(minus_five, d[3], d[1]));
        const Vec<Element> even3 = fma(four, d[2], fma(minus_five, d[4], d[6])),
                           odd3 = fma(four, d[1], fma(minus_five, d[3], d[5]));
        d[0] = fma(five_quarter, d[4] - d[2], d[0] - d[6]);
        d[7] = fma(five_quarter, d[3] - d[5], d[7] - d[1]);
        d[1] = even1 + odd1;
        d[2] = even1 - odd1;
        d[3] = fma(half, odd2, even2);
        d[4] = fma(minus_half, odd2, even2);
        d[5] = fma(half, odd3, even3);
        d[6] = fma(minus_half, odd3, even3);
    }

    /// One dimension of the output transform: eight values to the first six, in place.
    static inline __attribute__((always_inline)) void transform_output(Vec<Element> (&m)[kInputs]) {
        const Vec<Element> two = Vec<Element>::fill(2.0f), four = Vec<Element>::fill(4.0f),
                           eight = Vec<Element>::fill(8.0f), sixteen = Vec<Element>::fill(16.0f),
                           thirty_two = Vec<Element>::fill(32.0f);
        const Vec<Element> sum1 = m[1] + m[2], difference1 = m[1] - m[2];
        const Vec<Element> sum2 = m[3] + m[4], difference2 = m[3] - m[4];
        const Vec<Element> sum3 = m[5] + m[6], difference3 = m[5] - m[6];
        m[0] = fma(thirty_two, sum3, (m[0] + sum1) + sum2);
        m[1] = fma(sixteen, difference3, fma(two, difference2, difference1));
        m[2] = fma(eight, sum3, fma(four, sum2, sum1));
        m[3] = fma(four, difference3, fma(eight, difference2, difference1));
        m[4] = fma(two, sum3, fma(sixteen, sum2, sum1));
        m[5] = fma(thirty_two, difference2, (m[7] + difference1) + difference3);
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
        u[0] = a;
        u[1] = (a + c + b) * (-2.0 / 9);
        u[2] = (a + c - b) * (-2.0 / 9);
        u[3] = (a + 4 * c + 2 * b) * (1.0 / 90);
        u[4] = (a + 4 * c - 2 * b) * (1.0 / 90);
        u[5] = (4 * a + c + 2 * b) * (1.0 / 180);
        u[6] = (4 * a + c - 2 * b) * (1.0 / 180);
        u[7] = c;
    }
};

}  // namespace
}  // namespace mobileinst
