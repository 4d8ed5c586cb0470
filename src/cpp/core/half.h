#pragma once

#include <cstdint>
#include <cstring>

namespace mobileinst {

/// The value of an IEEE half. Always inline, as files of several instruction sets include it.
static inline __attribute__((always_inline)) float float_of_half(uint16_t half) {
    // The exponent is moved up by exact products, which also makes subnormal halves right.
    const uint32_t sign = static_cast<uint32_t>(half & 0x8000u) << 16, rest = half & 0x7fffu;
    const uint32_t shifted = rest << 13;
    float value;
    std::memcpy(&value, &shifted, sizeof(value));
    value *= 5.192296858534828e33f;  // 2^112
    uint32_t bits;
    std::memcpy(&bits, &value, sizeof(bits));
    bits |= sign | (rest >= 0x7c00u ? 0x7f800000u : 0u);  // infinity and NaN
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

}  // namespace mobileinst
