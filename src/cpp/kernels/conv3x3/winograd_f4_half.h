#pragma once

// The transforms of F(4x4, 3x3) with the points 0, infinity and, for p = 0.7, p, -p, 1/p and -1/p: with 1 and
// 2 instead of p and 1/p, factors up to 8 in each dimension would double the error of halves.
//
// With s = p^2, a row of the input transform holds the coefficients of
//   x^4 - (s + 1/s) x^2 + 1    for 0, times x for infinity,
//   x (x +- p) (x^2 - 1/s)     for p and -p,
//   x (x +- 1/p) (x^2 - s)     for 1/p and -1/p.

#include <cstddef>

#include "simd/vec.h"

namespace mobileinst {
namespace {

struct WinogradF4Half {
    static constexpr size_t kOutputs = 4;  // of a tile, in each dimension
    static constexpr size_t kInputs = 6;

    /// One dimension of the input transform, in place.
    static inline __attribute__((always_inline)) void transform_input(Vec<Element> (&d)[kInputs]) {
        const Vec<Element> minus_square = fill(-kSquare), minus_inverse = fill(-1 / kSquare),
                           minus_middle = fill(-kSquare - 1 / kSquare);
        const Vec<Element> even1 = fma(minus_inverse, d[2], d[4]), odd1 = fma(minus_inverse, d[1], d[3]);
        const Vec<Element> even2 = fma(minus_square, d[2], d[4]), odd2 = fma(minus_square, d[1], d[3]);
        d[0] = fma(minus_middle, d[2], d[0] + d[4]);
        d[5] = fma(minus_middle, d[3], d[1] + d[5]);
        d[1] = fma(fill(kPoint), odd1, even1);
        d[2] = fma(fill(-kPoint), odd1, even1);
        d[3] = fma(fill(1 / kPoint), odd2, even2);
        d[4] = fma(fill(-1 / kPoint), odd2, even2);
    }

    /// One dimension of the output transform: six values to the first four, in place.
    static inline __attribute__((always_inline)) void transform_output(Vec<Element> (&m)[kInputs]) {
        const Vec<Element> sum1 = m[1] + m[2], difference1 = m[1] - m[2];
        const Vec<Element> sum2 = m[3] + m[4], difference2 = m[3] - m[4];
        m[0] = (m[0] + sum1) + sum2;
        m[1] = fma(fill(kPoint), difference1, fill(1 / kPoint) * difference2);
        m[2] = fma(fill(kSquare), sum1, fill(1 / kSquare) * sum2);
        m[3] = fma(fill(1 / kCube), difference2, fma(fill(kCube), difference1, m[5]));
    }

    /// transform_output() plus `bias`.
    static inline __attribute__((always_inline)) void transform_output(Vec<Element> (&m)[kInputs],
                                                                       Vec<Element> bias) {
        const Vec<Element> sum1 = m[1] + m[2], difference1 = m[1] - m[2];
        const Vec<Element> sum2 = m[3] + m[4], difference2 = m[3] - m[4];
        m[0] = ((m[0] + bias) + sum1) + sum2;
        m[1] = fma(fill(kPoint), difference1, fma(fill(1 / kPoint), difference2, bias));
        m[2] = fma(fill(kSquare), sum1, fma(fill(1 / kSquare), sum2, bias));
        m[3] = fma(fill(1 / kCube), difference2, fma(fill(kCube), difference1, m[5] + bias));
    }

    /// One dimension of the weight transform.
    static inline __attribute__((always_inline)) void transform_weights(double a, double b, double c,
                                                                        double (&u)[kInputs]) {
        const double near = 2 * kSquare * (kSquare - 1 / kSquare), far = -near / (kSquare * kSquare);
        u[0] = a;
        u[1] = (a + kPoint * b + kSquare * c) / near;
        u[2] = (a - kPoint * b + kSquare * c) / near;
        u[3] = (a + b / kPoint + c / kSquare) / far;
        u[4] = (a - b / kPoint + c / kSquare) / far;
        u[5] = c;
    }

  private:
    static constexpr double kPoint = 0.7, kSquare = kPoint * kPoint, kCube = kPoint * kSquare;

    static Vec<Element> fill(double x) { return Vec<Element>::fill(static_cast<float>(x)); }
};

}  // namespace
}  // namespace mobileinst
