#pragma once

// Vectors of 32 bytes on AVX2. Products are of bytes with AVX-VNNI, else of 16-bit integers: vpmaddubsw
// saturates. Included by simd/bytes.h.

#include <immintrin.h>

#include <cstddef>
#include <cstdint>
#include <cstring>

namespace mobileinst {
namespace {

constexpr size_t kByteRegisters = 16;

#if defined(__AVXVNNI__)
using CopiedByte = uint8_t;
using CopiedWeight = int8_t;
constexpr int32_t kByteShift = 128;
#else
using CopiedByte = int16_t;
using CopiedWeight = int16_t;
constexpr int32_t kByteShift = 0;
#endif

/// The first `count` of 8 bytes as a number, the others 0.
inline uint64_t first_of_eight(const int8_t* p, size_t count) {
    uint64_t value = 0;
    if (count >= 8) {
        std::memcpy(&value, p, 8);
    } else if (count >= 4) {  // two that overlap
        uint32_t low, high;
        std::memcpy(&low, p, 4);
        std::memcpy(&high, p + count - 4, 4);
        value = low | static_cast<uint64_t>(high) << 8 * (count - 4);
    } else {
        for (size_t i = 0; i < count; ++i) {
            value |= static_cast<uint64_t>(static_cast<uint8_t>(p[i])) << 8 * i;
        }
    }
    return value;
}

/// Stores the first `count` of 8 bytes of a number.
inline void store_of_eight(uint64_t value, int8_t* p, size_t count) {
    if (count >= 8) {
        std::memcpy(p, &value, 8);
    } else if (count >= 4) {  // two that overlap
        const auto low = static_cast<uint32_t>(value), high = static_cast<uint32_t>(value >> 8 * (count - 4));
        std::memcpy(p, &low, 4);
        std::memcpy(p + count - 4, &high, 4);
    } else {
        for (size_t i = 0; i < count; ++i) {
            p[i] = static_cast<int8_t>(value >> 8 * i);
        }
    }
}

/// The first `count` of 16 bytes, the others 0.
inline __m128i first_of_sixteen(const int8_t* p, size_t count) {
    if (count >= 16) {
        return _mm_loadu_si128(reinterpret_cast<const __m128i*>(p));
    }
    const uint64_t high = count > 8 ? first_of_eight(p + 8, count - 8) : 0;
    return _mm_set_epi64x(static_cast<int64_t>(high), static_cast<int64_t>(first_of_eight(p, count)));
}

inline void store_of_sixteen(__m128i bytes, int8_t* p, size_t count) {
    if (count >= 16) {
        _mm_storeu_si128(reinterpret_cast<__m128i*>(p), bytes);
        return;
    }
    if (count >= 8) {
        _mm_storel_epi64(reinterpret_cast<__m128i*>(p), bytes);
        bytes = _mm_unpackhi_epi64(bytes, bytes);
        p += 8;
        count -= 8;
    }
    store_of_eight(static_cast<uint64_t>(_mm_cvtsi128_si64(bytes)), p, count);
}

/// 32 bytes.
struct Bytes {
    static constexpr size_t kWidth = 32;
    __m256i v;

    static Bytes load(const void* p) { return {_mm256_loadu_si256(static_cast<const __m256i*>(p))}; }
    /// Four bytes, again and again.
    static Bytes broadcast(const void* p) {
        int32_t four;
        std::memcpy(&four, p, sizeof(four));
        return {_mm256_set1_epi32(four)};
    }
    /// A value as copy_bytes() copies it.
    static Bytes copied(int32_t value) {
        return {sizeof(CopiedByte) == 1 ? _mm256_set1_epi8(static_cast<int8_t>(value + kByteShift))
                                        : _mm256_set1_epi16(static_cast<int16_t>(value))};
    }
    void store(void* p) const { _mm256_storeu_si256(static_cast<__m256i*>(p), v); }
    void store_first(void* p, size_t count) const {
        auto* to = static_cast<int8_t*>(p);
        if (count >= kWidth) {
            return store(p);
        }
        const __m128i low = _mm256_castsi256_si128(v);
        if (count <= 16) {
            return store_of_sixteen(low, to, count);
        }
        store_of_sixteen(low, to, 16);
        store_of_sixteen(_mm256_extracti128_si256(v, 1), to + 16, count - 16);
    }
    /// The bytes from 4 * WORDS on, an even number, then those before.
    template <int WORDS>
    Bytes rotated() const {
        constexpr int kFirst = WORDS / 2 % 4;
        constexpr int kOrder = kFirst | (kFirst + 1) % 4 << 2 | (kFirst + 2) % 4 << 4 | (kFirst + 3) % 4 << 6;
        return {_mm256_permute4x64_epi64(v, kOrder)};
    }
};

/// Lets the compiler take x for another value.
inline __attribute__((always_inline)) void renew(Bytes& x) { asm("" : "+x"(x.v)); }

/// 8 sums of products of bytes.
struct Sums {
    static constexpr size_t kWidth = 8;
    __m256i v;

    static Sums zero() { return {_mm256_setzero_si256()}; }
    static Sums load(const int32_t* p) { return {_mm256_loadu_si256(reinterpret_cast<const __m256i*>(p))}; }
    void store(int32_t* p) const { _mm256_storeu_si256(reinterpret_cast<__m256i*>(p), v); }
    /// A power of two.
    template <int FACTOR>
    Sums times() const {
        return {_mm256_slli_epi32(v, __builtin_ctz(FACTOR))};
    }
    /// Multiples of 9 << shift that may have wrapped round, divided by that; |result| < 2^(31 - shift).
    Sums divided(int shift) const {
        constexpr uint32_t kNinth = 954437177u;  // 9 * kNinth = 1 modulo 2^32
        const __m256i ninth = _mm256_mullo_epi32(v, _mm256_set1_epi32(static_cast<int32_t>(kNinth)));
        return {_mm256_srai_epi32(ninth, shift)};
    }
    friend Sums operator+(Sums a, Sums b) { return {_mm256_add_epi32(a.v, b.v)}; }
    friend Sums operator-(Sums a, Sums b) { return {_mm256_sub_epi32(a.v, b.v)}; }
};

/// 16 integers of 16 bits.
struct Shorts {
    static constexpr size_t kWidth = 16;
    __m256i v;

    static Shorts fill(int32_t x) { return {_mm256_set1_epi16(static_cast<int16_t>(x))}; }
    /// The first `count` of 16 bytes, with what is behind them 0.
    static Shorts load_bytes(const int8_t* p, size_t count) {
        return {_mm256_cvtepi8_epi16(first_of_sixteen(p, count))};
    }
    void store(int16_t* p) const { _mm256_storeu_si256(reinterpret_cast<__m256i*>(p), v); }
    template <int FACTOR>
    Shorts times() const {
        return {_mm256_slli_epi16(v, __builtin_ctz(FACTOR))};
    }
    friend Shorts operator+(Shorts a, Shorts b) { return {_mm256_add_epi16(a.v, b.v)}; }
    friend Shorts operator-(Shorts a, Shorts b) { return {_mm256_sub_epi16(a.v, b.v)}; }
};

using Floats = __m256;

#if defined(__AVXVNNI__)

/// Adds four products of neighbouring bytes to each sum.
inline __attribute__((always_inline)) Sums dot(Sums sums, Bytes values, Bytes weights) {
    asm("%{vex%} vpdpbusd %2, %1, %0" : "+x"(sums.v) : "x"(values.v), "x"(weights.v));
    return sums;
}

/// Adds two products of neighbouring 16-bit integers to each sum, which wraps round.
inline __attribute__((always_inline)) Sums dot_pairs(Sums sums, Bytes values, Bytes weights) {
    asm("%{vex%} vpdpwssd %2, %1, %0" : "+x"(sums.v) : "x"(values.v), "x"(weights.v));
    return sums;
}

#else

/// Adds two products of neighbouring 16-bit integers to each sum, which wraps round.
inline __attribute__((always_inline)) Sums dot_pairs(Sums sums, Bytes values, Bytes weights) {
    return {_mm256_add_epi32(sums.v, _mm256_madd_epi16(values.v, weights.v))};
}

inline __attribute__((always_inline)) Sums dot(Sums sums, Bytes values, Bytes weights) {
    return dot_pairs(sums, values, weights);
}

#endif

/// The first `count` of 16 bytes as dot() takes them.
inline void copy_of_sixteen(const int8_t* from, size_t count, CopiedByte* to) {
    const __m128i bytes = first_of_sixteen(from, count);
#if defined(__AVXVNNI__)
    _mm_storeu_si128(reinterpret_cast<__m128i*>(to), _mm_xor_si128(bytes, _mm_set1_epi8(-128)));
#else
    _mm256_storeu_si256(reinterpret_cast<__m256i*>(to), _mm256_cvtepi8_epi16(bytes));
#endif
}

/// Copies bytes as dot() takes them; up to 63 more bytes may be written behind them.
inline void copy_bytes(const int8_t* from, size_t count, CopiedByte* to) {
    size_t i = 0;
    for (; i + 16 <= count; i += 16) {
        copy_of_sixteen(from + i, 16, to + i);
    }
    if (i < count) {
        copy_of_sixteen(from + i, count - i, to + i);
    }
}

/// The first `count` bytes of as many as there are sums, count >= 8 if WHOLE.
template <bool WHOLE>
inline __attribute__((always_inline)) __m128i load_channels(const int8_t* p, size_t count) {
    if (WHOLE) {
        return _mm_loadl_epi64(reinterpret_cast<const __m128i*>(p));
    }
    return _mm_cvtsi64_si128(static_cast<int64_t>(first_of_eight(p, count)));
}

/// 8 bytes each of rows as dot() takes them, those of a channel beside each other.
#if defined(__AVXVNNI__)
inline __attribute__((always_inline)) Bytes interleaved(const __m128i (&rows)[4]) {
    const __m128i ab = _mm_unpacklo_epi8(rows[0], rows[1]), cd = _mm_unpacklo_epi8(rows[2], rows[3]);
    const __m256i all = _mm256_set_m128i(_mm_unpackhi_epi16(ab, cd), _mm_unpacklo_epi16(ab, cd));
    return {_mm256_xor_si256(all, _mm256_set1_epi8(-128))};
}
#else
inline __attribute__((always_inline)) Bytes interleaved(const __m128i (&rows)[2]) {
    return {_mm256_cvtepi8_epi16(_mm_unpacklo_epi8(rows[0], rows[1]))};
}
#endif

inline Floats floats_at(const float* p) { return _mm256_loadu_ps(p); }

/// The first `count` of 8 bytes.
inline Floats floats_of_bytes(const int8_t* p, size_t count) {
    const __m128i bytes = _mm_cvtsi64_si128(static_cast<int64_t>(first_of_eight(p, count)));
    return _mm256_cvtepi32_ps(_mm256_cvtepi8_epi32(bytes));
}

/// v * factor + addend, rounded once.
inline Floats fused(Floats v, Floats factor, Floats addend) { return _mm256_fmadd_ps(v, factor, addend); }
inline Floats filled(float x) { return _mm256_set1_ps(x); }
/// v within [low, high]; low if it is NaN.
inline Floats limited(Floats v, float low, float high) {
    return _mm256_min_ps(_mm256_max_ps(v, _mm256_set1_ps(low)), _mm256_set1_ps(high));
}

/// sums * scale + shift, the product and the sum rounded once.
inline Floats scaled(Sums sums, Floats scale, Floats shift) {
    return _mm256_fmadd_ps(_mm256_cvtepi32_ps(sums.v), scale, shift);
}
inline Floats scaled(Sums sums, const float* scale, const float* shift) {
    return scaled(sums, floats_at(scale), floats_at(shift));
}

/// Two vectors as 16-bit integers, rounded and saturated: within each lane of 16 bytes four of each.
inline __attribute__((always_inline)) __m256i rounded_pair(Floats a, Floats b) {
    return _mm256_packs_epi32(_mm256_cvtps_epi32(a), _mm256_cvtps_epi32(b));
}

/// Four vectors as 32 integers, rounded and saturated: within each lane of 16 bytes four of each, in turn.
inline __attribute__((always_inline)) Bytes rounded(const Floats (&v)[4]) {
    return {_mm256_packs_epi16(rounded_pair(v[0], v[1]), rounded_pair(v[2], v[3]))};
}

/// Of bytes as rounded() gives them 8 of each vector, one after the other.
inline __attribute__((always_inline)) Bytes in_order(Bytes bytes) {
    return {_mm256_permutevar8x32_epi32(bytes.v, _mm256_setr_epi32(0, 4, 1, 5, 2, 6, 3, 7))};
}

/// The first `count` of 8 values as integers, rounded and saturated.
inline __attribute__((always_inline)) void store_rounded(Floats v, int8_t* to, size_t count) {
    const __m256i whole = _mm256_cvtps_epi32(v);
    const __m128i pairs = _mm_packs_epi32(_mm256_castsi256_si128(whole), _mm256_extracti128_si256(whole, 1));
    const __m128i bytes = _mm_packs_epi16(pairs, pairs);
    store_of_eight(static_cast<uint64_t>(_mm_cvtsi128_si64(bytes)), to, count);
}

/// The table of a Requantisation.
struct ByteTable {
    const int8_t* table;

    explicit ByteTable(const int8_t* table_) : table(table_) {}

    /// What four vectors become, rounded, in the order of rounded().
#if defined(__AVXVNNI__)
    inline __attribute__((always_inline)) Bytes of(const Floats (&v)[4]) const {
        return {_mm256_packus_epi16(_mm256_packus_epi32(gathered(v[0]), gathered(v[1])),
                                    _mm256_packus_epi32(gathered(v[2]), gathered(v[3])))};
    }

  private:
    inline __attribute__((always_inline)) __m256i gathered(Floats v) const {
        const __m256i least = _mm256_set1_epi32(-256), most = _mm256_set1_epi32(255);
        const __m256i place = _mm256_min_epi32(_mm256_max_epi32(_mm256_cvtps_epi32(v), least), most);
        const auto* middle = reinterpret_cast<const int*>(table + 256);
        return _mm256_and_si256(_mm256_i32gather_epi32(middle, place, 1), _mm256_set1_epi32(255));
    }
#else
    /// One value after the other: gathering takes many times as long on processors of before 2021 that are
    /// guarded against its leak (Downfall), and shuffles of 16 bytes, for 512 of them, half as long again.
    inline __attribute__((always_inline)) Bytes of(const Floats (&v)[4]) const {
        const __m256i low = places(rounded_pair(v[0], v[1])), high = places(rounded_pair(v[2], v[3]));
        const __m128i begin = lane(_mm256_castsi256_si128(low), _mm256_castsi256_si128(high)),
                      end = lane(_mm256_extracti128_si256(low, 1), _mm256_extracti128_si256(high, 1));
        return {_mm256_set_m128i(end, begin)};
    }

  private:
    static inline __attribute__((always_inline)) __m256i places(__m256i whole) {
        const __m256i least = _mm256_set1_epi16(-256), most = _mm256_set1_epi16(255);
        return _mm256_sub_epi16(_mm256_min_epi16(_mm256_max_epi16(whole, least), most), least);
    }
    /// Of eight places, which are taken out of 64 bits each, lest the compiler takes them out of a vector one
    /// by one.
    inline __attribute__((always_inline)) __m128i eight(__m128i eight_places) const {
        auto a = static_cast<uint64_t>(_mm_cvtsi128_si64(eight_places)),
             b = static_cast<uint64_t>(_mm_extract_epi64(eight_places, 1));
        asm("" : "+r"(a), "+r"(b));
        __m128i found = _mm_cvtsi32_si128(static_cast<uint8_t>(table[a & 0xffff]));
        found = _mm_insert_epi8(found, table[a >> 16 & 0xffff], 1);
        found = _mm_insert_epi8(found, table[a >> 32 & 0xffff], 2);
        found = _mm_insert_epi8(found, table[a >> 48], 3);
        found = _mm_insert_epi8(found, table[b & 0xffff], 4);
        found = _mm_insert_epi8(found, table[b >> 16 & 0xffff], 5);
        found = _mm_insert_epi8(found, table[b >> 32 & 0xffff], 6);
        return _mm_insert_epi8(found, table[b >> 48], 7);
    }
    inline __attribute__((always_inline)) __m128i lane(__m128i low, __m128i high) const {
        return _mm_unpacklo_epi64(eight(low), eight(high));
    }
#endif
};

}  // namespace
}  // namespace mobileinst
