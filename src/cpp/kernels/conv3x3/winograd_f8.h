#pragma once

// The transforms of F(8x8, 3x3) with the points 0, infinity and, for p = 0.45 and p = 0.8, p, -p, 1/p and
// -1/p.
//
// Points with 1 and -1 among them would save some operations, but double the error.
//
// With s = p^2 and P(x) = x^4 - (s + 1/s) x^2 + 1, whose zeros are the four points of p, a row of the input
// transform holds the coefficients of
//   P of 0.45 times P of 0.8                          for 0, times x for infinity,
//   P of the other p, times x (x +- p) (1 - s x^2)    for p and -p,
//   P of the other p, times x (1 +- p x) (x^2 - s)    for 1/p and -1/p.
// The output transform has p^n for p and p^(7 - n) for 1/p; the weight transform makes up for all factors.

#include <cstddef>

#include "simd/vec.h"

namespace mobileinst {
namespace {

struct WinogradF8 {
    static constexpr size_t kOutputs = 8;  // of a tile, in each dimension
    static constexpr size_t kInputs = 10;

    /// One dimension of the input transform, in place.
    static inline __attribute__((always_inline)) void transform_input(Vec<Element> (&d)[kInputs]) {
        const Vec<Element> minus_q1 = fill(-middle(kFirst)), minus_q2 = fill(-middle(kSecond));
        const Vec<Element> sum1 = d[1] + d[5], sum2 = d[2] + d[6], sum3 = d[3] + d[7], sum4 = d[4] + d[8];
        const Vec<Element> even1 = fma(minus_q2, d[4], sum2), even2 = fma(minus_q2, d[6], sum4),
                           odd1 = fma(minus_q2, d[3], sum1), odd2 = fma(minus_q2, d[5], sum3);
        const Vec<Element> even3 = fma(minus_q1, d[4], sum2), even4 = fma(minus_q1, d[6], sum4),
                           odd3 = fma(minus_q1, d[3], sum1), odd4 = fma(minus_q1, d[5], sum3);
        d[0] = fma(minus_q1, even1, fma(minus_q2, d[2], d[0] + d[4]) + even2);
        d[9] = fma(minus_q1, odd2, fma(minus_q2, d[7], d[5] + d[9]) + odd1);
        input_at_four(kFirst, even1, even2, odd1, odd2, d + 1);
        input_at_four(kSecond, even3, even4, odd3, odd4, d + 5);
    }

    /// One dimension of the output transform: ten values to the first eight, in place.
    static inline __attribute__((always_inline)) void transform_output(Vec<Element> (&m)[kInputs]) {
        output_from<false>(m, m[0], m[9], m[0]);
    }

    /// transform_output() plus `bias`, which takes the place of products.
    static inline __attribute__((always_inline)) void transform_output(Vec<Element> (&m)[kInputs],
                                                                       Vec<Element> bias) {
        output_from<true>(m, m[0] + bias, m[9] + bias, bias);
    }

    /// One dimension of the weight transform.
    static inline __attribute__((always_inline)) void transform_weights(double a, double b, double c,
                                                                        double (&u)[kInputs]) {
        u[0] = a;
        weights_at_four(kFirst, kSecond, a, b, c, u + 1);
        weights_at_four(kSecond, kFirst, a, b, c, u + 5);
        u[9] = c;
    }

  private:
    static constexpr double kFirst = 0.45, kSecond = 0.8;

    static constexpr double power(double p, int n) { return n == 0 ? 1 : p * power(p, n - 1); }
    static constexpr double middle(double p) { return p * p + 1 / (p * p); }
    static Vec<Element> fill(double x) { return Vec<Element>::fill(static_cast<float>(x)); }

    static inline __attribute__((always_inline)) void input_at_four(double p, Vec<Element> even1,
                                                                    Vec<Element> even2, Vec<Element> odd1,
                                                                    Vec<Element> odd2, Vec<Element>* d) {
        const Vec<Element> minus_square = fill(-p * p), plus = fill(p), minus = fill(-p);
        const Vec<Element> even_inner = fma(minus_square, even2, even1),
                           odd_inner = fma(minus_square, odd2, odd1);
        const Vec<Element> even_outer = fma(minus_square, even1, even2),
                           odd_outer = fma(minus_square, odd1, odd2);
        d[0] = fma(plus, odd_inner, even_inner);
        d[1] = fma(minus, odd_inner, even_inner);
        d[2] = fma(plus, even_outer, odd_outer);
        d[3] = fma(minus, even_outer, odd_outer);
    }

    /// Begins with `first` and `last` for the outer outputs and, if STARTS, with `start` for the others.
    template <bool STARTS>
    static inline __attribute__((always_inline)) void output_from(Vec<Element> (&m)[kInputs],
                                                                  Vec<Element> first, Vec<Element> last,
                                                                  Vec<Element> start) {
        const Vec<Element> sums[4] = {m[1] + m[2], m[3] + m[4], m[5] + m[6], m[7] + m[8]};
        const Vec<Element> differences[4] = {m[1] - m[2], m[3] - m[4], m[5] - m[6], m[7] - m[8]};
        constexpr double kFirst7 = power(kFirst, 7), kSecond7 = power(kSecond, 7);
        const Vec<Element> first7 = fill(kFirst7), second7 = fill(kSecond7);
        m[0] = fma(second7, sums[3], fma(first7, sums[1], first + sums[0]) + sums[2]);
        m[7] =
            fma(second7, differences[2], fma(first7, differences[0], last + differences[1]) + differences[3]);
        m[1] = inner_output<STARTS, 1>(differences, start);
        m[2] = inner_output<STARTS, 2>(sums, start);
        m[3] = inner_output<STARTS, 3>(differences, start);
        m[4] = inner_output<STARTS, 4>(sums, start);
        m[5] = inner_output<STARTS, 5>(differences, start);
        m[6] = inner_output<STARTS, 6>(sums, start);
    }

    template <bool STARTS, int N>
    static inline __attribute__((always_inline)) Vec<Element> inner_output(const Vec<Element> (&values)[4],
                                                                           Vec<Element> start) {
        constexpr double kFactors[4] = {power(kFirst, N), power(kFirst, 7 - N), power(kSecond, N),
                                        power(kSecond, 7 - N)};
        Vec<Element> sum = STARTS ? fma(fill(kFactors[0]), values[0], start) : fill(kFactors[0]) * values[0];
#pragma GCC unroll 4
        for (int i = 1; i < 4; ++i) {
            sum = fma(fill(kFactors[i]), values[i], sum);
        }
        return sum;
    }

    static inline __attribute__((always_inline)) void weights_at_four(double p, double other, double a,
                                                                      double b, double c, double* u) {
        const double s = p * p;
        const double factor = -1 / (2 * s * s * (s - 1 / s) * (s * s - middle(other) * s + 1));
        u[0] = factor * (a + p * b + s * c);
        u[1] = factor * (a - p * b + s * c);
        u[2] = factor * (s * a + p * b + c);
        u[3] = -factor * (s * a - p * b + c);
    }
};

}  // namespace
}  // namespace mobileinst
