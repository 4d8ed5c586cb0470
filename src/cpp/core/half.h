#pragma once

#include <cstdint>
#include <cstring>

namespace mobileinst {

/// The value of an IEEE half. Always inline, as files of several instruction sets include it. No step is a
/// denormal float, which threads may take for 0 (core/denormals.h).
static inline __attribute__((always_inline)) float float_of_half(uint16_t half) {
    const uint32_t sign = static_cast<uint32_t>(half & 0x8000u) << 16, rest = half & 0x7fffu;
    const float subnormal = static_cast<float>(static_cast<int32_t>(rest)) * 5.9604644775390625e-8f;  // 2^-24
    uint32_t small;
    std::memcpy(&small, &subnormal, sizeof(small));
    const uint32_t normal = (rest << 13) + (rest >= 0x7c00u ? 0x70000000u : 0x38000000u);  // infinity, NaN
    const uint32_t bits = sign | (rest < 0x0400u ? small : normal);
    float value;
    std::memcpy(&value, &bits, sizeof(value));
    return value;
}

/// A float as IEEE half, rounded to the nearest, of two the even one; infinity from 65520 on.
static inline __attribute__((always_inline)) uint16_t half_of_float(float x) {
    uint32_t bits;
    std::memcpy(&bits, &x, sizeof(bits));
    const uint32_t sign = bits >> 16 & 0x8000u, rest = bits & 0x7fffffffu;
    // Normal halves: the exponent moved down, the last 13 bits rounded away.
    const uint32_t normal = (rest - 0x38000000u + 0xfffu + (rest >> 13 & 1u)) >> 13;
    // Subnormal ones: adding a half, whose last bit is worth 2^-24, rounds.
    float magnitude;
    std::memcpy(&magnitude, &rest, sizeof(magnitude));
    magnitude += 0.5f;
    uint32_t small;
    std::memcpy(&small, &magnitude, sizeof(small));
    small -= 0x3f000000u;
    uint32_t half = rest < 0x38800000u ? small : normal;
    half = rest >= 0x47800000u || half > 0x7c00u ? 0x7c00u : half;
    half = rest > 0x7f800000u ? 0x7e00u : half;
    return static_cast<uint16_t>(sign | half);
}

/// A half-precision number in memory; arithmetic is done in float, or on vectors of it. Conversions round to
/// the nearest, of two to the even one, on every platform.
struct Half {
    uint16_t bits;

    Half() = default;
    __attribute__((always_inline)) explicit Half(float x) : bits(half_of_float(x)) {}
    __attribute__((always_inline)) explicit Half(double x) : bits(half_of_float(rounded_to_odd(x))) {}
    __attribute__((always_inline)) explicit operator float() const { return float_of_half(bits); }
    __attribute__((always_inline)) explicit operator double() const { return float_of_half(bits); }

  private:
    /// The float next to x whose last bit is odd, unless x is a float: rounding that again gives what
    /// rounding x once would.
    static __attribute__((always_inline)) float rounded_to_odd(double x) {
        float near = static_cast<float>(x);
        const double error = x - static_cast<double>(near);
        uint32_t bits;
        std::memcpy(&bits, &near, sizeof(bits));
        if ((bits & 1u) == 0 && (error > 0.0 || error < 0.0)) {
            bits += (error > 0.0) == ((bits >> 31) == 0) ? 1u : ~0u;
            std::memcpy(&near, &bits, sizeof(near));
        }
        return near;
    }
};

static_assert(sizeof(Half) == 2, "a half-precision number has two bytes");

}  // namespace mobileinst
