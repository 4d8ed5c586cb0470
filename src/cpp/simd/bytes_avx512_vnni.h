#pragma once

// Vectors of 64 bytes on AVX-512 with VNNI and VBMI. The masked forms of some instructions, because GCC 12
// warns of its own undefined pass-through operand in the plain ones. Included by simd/bytes.h.

#include <immintrin.h>

#include <cstddef>
#include <cstdint>
#include <cstring>

namespace mobileinst {
namespace {

constexpr size_t kByteRegisters = 32;
using CopiedByte = uint8_t;
using CopiedWeight = int8_t;
constexpr int32_t kByteShift = 128;

inline __mmask64 first_bytes(size_t count) { return count >= 64 ? ~0ull : (1ull << count) - 1; }

/// 64 bytes.
struct Bytes {
    static constexpr size_t kWidth = 64;
    __m512i v;

    static Bytes load(const void* p) { return {_mm512_loadu_si512(p)}; }
    /// Four bytes, again and again.
    static Bytes broadcast(const void* p) {
        int32_t four;
        std::memcpy(&four, p, sizeof(four));
        return {_mm512_set1_epi32(four)};
    }
    /// A value as copy_bytes() copies it.
    static Bytes copied(int32_t value) { return {_mm512_set1_epi8(static_cast<int8_t>(value + kByteShift))}; }
    void store(void* p) const { _mm512_storeu_si512(p, v); }
    /// The first `count` bytes, with no mask where a plain store does.
    void store_first(void* p, size_t count) const {
        if (count >= 64) {
            store(p);
        } else if (count == 32) {
            _mm256_storeu_si256(static_cast<__m256i*>(p), _mm512_maskz_extracti64x4_epi64(0xf, v, 0));
        } else if (count == 16) {
            _mm_storeu_si128(static_cast<__m128i*>(p), _mm512_maskz_extracti32x4_epi32(0xf, v, 0));
        } else {
            _mm512_mask_storeu_epi8(p, first_bytes(count), v);
        }
    }
    /// The bytes from 4 * WORDS on, then those before.
    template <int WORDS>
    Bytes rotated() const {
        return {_mm512_maskz_alignr_epi32(0xffff, v, v, WORDS & 15)};
    }
};

/// Lets the compiler take x for another value.
inline __attribute__((always_inline)) void renew(Bytes& x) { asm("" : "+v"(x.v)); }

/// 16 sums of products of bytes.
struct Sums {
    static constexpr size_t kWidth = 16;
    __m512i v;

    static Sums zero() { return {_mm512_setzero_si512()}; }
    static Sums load(const int32_t* p) { return {_mm512_loadu_si512(p)}; }
    void store(int32_t* p) const { _mm512_storeu_si512(p, v); }
    /// A power of two.
    template <int FACTOR>
    Sums times() const {
        return {_mm512_maskz_slli_epi32(0xffff, v, __builtin_ctz(FACTOR))};
    }
    /// Multiples of 9 << shift that may have wrapped round, divided by that; |result| < 2^(31 - shift).
    Sums divided(int shift) const {
        constexpr uint32_t kNinth = 954437177u;  // 9 * kNinth = 1 modulo 2^32
        const __m512i ninth = _mm512_mullo_epi32(v, _mm512_set1_epi32(static_cast<int32_t>(kNinth)));
        return {_mm512_maskz_srai_epi32(0xffff, ninth, static_cast<unsigned>(shift))};
    }
    friend Sums operator+(Sums a, Sums b) { return {_mm512_add_epi32(a.v, b.v)}; }
    friend Sums operator-(Sums a, Sums b) { return {_mm512_sub_epi32(a.v, b.v)}; }
};

/// 32 integers of 16 bits.
struct Shorts {
    static constexpr size_t kWidth = 32;
    __m512i v;

    static Shorts fill(int32_t x) { return {_mm512_set1_epi16(static_cast<int16_t>(x))}; }
    /// The first `count` of 32 bytes, with what is behind them 0.
    static Shorts load_bytes(const int8_t* p, size_t count) {
        const __m256i bytes = count >= 32
                                  ? _mm256_loadu_si256(reinterpret_cast<const __m256i*>(p))
                                  : _mm256_maskz_loadu_epi8(static_cast<__mmask32>(first_bytes(count)), p);
        return {_mm512_maskz_cvtepi8_epi16(~0u, bytes)};
    }
    void store(int16_t* p) const { _mm512_storeu_si512(p, v); }
    template <int FACTOR>
    Shorts times() const {
        return {_mm512_maskz_slli_epi16(~0u, v, __builtin_ctz(FACTOR))};
    }
    friend Shorts operator+(Shorts a, Shorts b) { return {_mm512_add_epi16(a.v, b.v)}; }
    friend Shorts operator-(Shorts a, Shorts b) { return {_mm512_sub_epi16(a.v, b.v)}; }
};

using Floats = __m512;

/// Adds four products of neighbouring bytes to each sum.
inline __attribute__((always_inline)) Sums dot(Sums sums, Bytes values, Bytes weights) {
    // Not by the intrinsic, around which GCC 12 copies sums from register to register and spills them.
    asm("vpdpbusd %2, %1, %0" : "+v"(sums.v) : "v"(values.v), "v"(weights.v));
    return sums;
}

/// Adds two products of neighbouring 16-bit integers to each sum, which wraps round.
inline __attribute__((always_inline)) Sums dot_pairs(Sums sums, Bytes values, Bytes weights) {
    asm("vpdpwssd %2, %1, %0" : "+v"(sums.v) : "v"(values.v), "v"(weights.v));
    return sums;
}

/// Copies bytes as dot() takes them; up to 63 more may be written behind them.
inline void copy_bytes(const int8_t* from, size_t count, uint8_t* to) {
    if (count <= 32) {
        const auto mask = static_cast<__mmask32>(first_bytes(count));
        const __m256i bytes = _mm256_xor_si256(_mm256_maskz_loadu_epi8(mask, from), _mm256_set1_epi8(-128));
        return _mm256_storeu_si256(reinterpret_cast<__m256i*>(to), bytes);
    }
    const __m512i signs = _mm512_set1_epi8(-128);
    size_t i = 0;
    for (; i + 64 <= count; i += 64) {
        _mm512_storeu_si512(to + i, _mm512_xor_si512(_mm512_loadu_si512(from + i), signs));
    }
    if (i < count) {
        const __m512i last = _mm512_maskz_loadu_epi8(first_bytes(count - i), from + i);
        _mm512_storeu_si512(to + i, _mm512_xor_si512(last, signs));
    }
}

/// The first `count` bytes of as many as there are sums, count >= 16 if WHOLE.
template <bool WHOLE>
inline __attribute__((always_inline)) __m128i load_channels(const int8_t* p, size_t count) {
    return _mm_maskz_loadu_epi8(static_cast<__mmask16>(WHOLE ? 0xffff : first_bytes(count)), p);
}

/// 16 bytes each of four rows as dot() takes them, those of a channel beside each other.
inline __attribute__((always_inline)) Bytes interleaved(const __m128i (&rows)[4]) {
    alignas(64) static constexpr int8_t kOrder[64] = {
        0,  16, 32, 48, 1,  17, 33, 49, 2,  18, 34, 50, 3,  19, 35, 51, 4,  20, 36, 52, 5,  21,
        37, 53, 6,  22, 38, 54, 7,  23, 39, 55, 8,  24, 40, 56, 9,  25, 41, 57, 10, 26, 42, 58,
        11, 27, 43, 59, 12, 28, 44, 60, 13, 29, 45, 61, 14, 30, 46, 62, 15, 31, 47, 63};
    __m512i all = _mm512_zextsi128_si512(rows[0]);
    all = _mm512_maskz_inserti32x4(0xffff, all, rows[1], 1);
    all = _mm512_maskz_inserti32x4(0xffff, all, rows[2], 2);
    all = _mm512_maskz_inserti32x4(0xffff, all, rows[3], 3);
    const __m512i ordered = _mm512_maskz_permutexvar_epi8(~0ull, _mm512_load_si512(kOrder), all);
    return {_mm512_xor_si512(ordered, _mm512_set1_epi8(-128))};
}

inline Floats floats_at(const float* p) { return _mm512_loadu_ps(p); }

/// The first `count` of 16 bytes.
inline Floats floats_of_bytes(const int8_t* p, size_t count) {
    const __m128i bytes =
        _mm_maskz_loadu_epi8(static_cast<__mmask16>(first_bytes(count < 16 ? count : 16)), p);
    return _mm512_maskz_cvtepi32_ps(0xffff, _mm512_maskz_cvtepi8_epi32(0xffff, bytes));
}

/// v * factor + addend, rounded once.
inline Floats fused(Floats v, Floats factor, Floats addend) { return _mm512_fmadd_ps(v, factor, addend); }
inline Floats filled(float x) { return _mm512_set1_ps(x); }
/// v within [low, high]; low if it is NaN.
inline Floats limited(Floats v, float low, float high) {
    return _mm512_maskz_min_ps(0xffff, _mm512_maskz_max_ps(0xffff, v, _mm512_set1_ps(low)),
                               _mm512_set1_ps(high));
}

/// sums * scale + shift, the product and the sum rounded once.
inline Floats scaled(Sums sums, Floats scale, Floats shift) {
    return _mm512_fmadd_ps(_mm512_maskz_cvtepi32_ps(0xffff, sums.v), scale, shift);
}
inline Floats scaled(Sums sums, const float* scale, const float* shift) {
    return scaled(sums, floats_at(scale), floats_at(shift));
}

/// Four vectors as 64 integers, rounded and saturated: within each lane of 16 bytes four of each, in turn.
inline __attribute__((always_inline)) Bytes rounded(const Floats (&v)[4]) {
    const __m512i low = _mm512_maskz_packs_epi32(~0u, _mm512_maskz_cvtps_epi32(0xffff, v[0]),
                                                 _mm512_maskz_cvtps_epi32(0xffff, v[1]));
    const __m512i high = _mm512_maskz_packs_epi32(~0u, _mm512_maskz_cvtps_epi32(0xffff, v[2]),
                                                  _mm512_maskz_cvtps_epi32(0xffff, v[3]));
    return {_mm512_maskz_packs_epi16(~0ull, low, high)};
}

/// Of bytes as rounded() gives them 16 of each vector, one after the other.
inline __attribute__((always_inline)) Bytes in_order(Bytes bytes) {
    const __m512i order = _mm512_setr_epi32(0, 4, 8, 12, 1, 5, 9, 13, 2, 6, 10, 14, 3, 7, 11, 15);
    return {_mm512_maskz_permutexvar_epi32(0xffff, order, bytes.v)};
}

/// The first `count` of 16 values as integers, rounded and saturated.
inline __attribute__((always_inline)) void store_rounded(Floats v, int8_t* to, size_t count) {
    const __m128i bytes = _mm512_maskz_cvtsepi32_epi8(0xffff, _mm512_maskz_cvtps_epi32(0xffff, v));
    if (count >= 16) {
        _mm_storeu_si128(reinterpret_cast<__m128i*>(to), bytes);
    } else {
        _mm_mask_storeu_epi8(to, static_cast<__mmask16>(first_bytes(count)), bytes);
    }
}

/// The table of a Requantisation.
struct ByteTable {
    const int8_t* table;

    explicit ByteTable(const int8_t* table_) : table(table_) {}

    /// What four vectors become, rounded, in the order of rounded().
    inline __attribute__((always_inline)) Bytes of(const Floats (&v)[4]) const {
        const __m512i least = _mm512_set1_epi16(-256), most = _mm512_set1_epi16(255);
        __m512i low = _mm512_maskz_packs_epi32(~0u, _mm512_maskz_cvtps_epi32(0xffff, v[0]),
                                               _mm512_maskz_cvtps_epi32(0xffff, v[1]));
        __m512i high = _mm512_maskz_packs_epi32(~0u, _mm512_maskz_cvtps_epi32(0xffff, v[2]),
                                                _mm512_maskz_cvtps_epi32(0xffff, v[3]));
        low = _mm512_maskz_min_epi16(~0u, _mm512_maskz_max_epi16(~0u, low, least), most);
        high = _mm512_maskz_min_epi16(~0u, _mm512_maskz_max_epi16(~0u, high, least), most);
        // The last eight bits are the place in the table's half that the sign names.
        const __mmask64 negative = _mm512_movepi8_mask(_mm512_maskz_packs_epi16(~0ull, low, high));
        const __m512i byte = _mm512_set1_epi16(255);
        const __m512i place =
            _mm512_maskz_packus_epi16(~0ull, _mm512_and_si512(low, byte), _mm512_and_si512(high, byte));
        const __m512i above = half(table + 256, place);
        return {_mm512_mask_mov_epi8(above, negative, half(table, place))};
    }

  private:
    static inline __attribute__((always_inline)) __m512i half(const int8_t* table, __m512i place) {
        const __m512i begin =
            _mm512_permutex2var_epi8(_mm512_loadu_si512(table), place, _mm512_loadu_si512(table + 64));
        const __m512i end =
            _mm512_permutex2var_epi8(_mm512_loadu_si512(table + 128), place, _mm512_loadu_si512(table + 192));
        return _mm512_mask_mov_epi8(begin, _mm512_movepi8_mask(place), end);
    }
};

}  // namespace
}  // namespace mobileinst
