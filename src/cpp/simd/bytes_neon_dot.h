#pragma once

// Vectors of 16 bytes on NEON with SDOT. Included by simd/bytes.h.

#include <arm_neon.h>

#include <cstddef>
#include <cstdint>
#include <cstring>

namespace mobileinst {
namespace {

using CopiedByte = uint8_t;
using CopiedWeight = int8_t;
constexpr int32_t kByteShift = 0;

/// 16 signed bytes.
struct Bytes {
    static constexpr size_t kWidth = 16;
    int8x16_t v;

    static Bytes load(const void* p) { return {vld1q_s8(static_cast<const int8_t*>(p))}; }
    void store(void* p) const { vst1q_s8(static_cast<int8_t*>(p), v); }
    void store_first(void* p, size_t count) const {
        if (count >= kWidth) {
            return store(p);
        }
        int8_t values[kWidth];
        store(values);
        std::memcpy(p, values, count);
    }
};

/// Lets the compiler take x for another value.
inline __attribute__((always_inline)) void renew(Bytes& x) { asm("" : "+w"(x.v)); }

/// Four sums of products of bytes.
struct Sums {
    int32x4_t v;

    static Sums load(const int32_t* p) { return {vld1q_s32(p)}; }
    void store(int32_t* p) const { vst1q_s32(p, v); }
};

using Floats = float32x4_t;

/// Adds four products of neighbouring bytes to each sum.
inline Sums dot(Sums sums, Bytes values, Bytes weights) { return {vdotq_s32(sums.v, values.v, weights.v)}; }

/// Copies bytes as dot() takes them; up to 63 more may be written behind them.
inline void copy_bytes(const int8_t* from, size_t count, uint8_t* to) {
    if (count < 8) {
        for (size_t i = 0; i < count; ++i) {
            to[i] = static_cast<uint8_t>(from[i]);
        }
    } else if (count < 16) {  // two that overlap
        std::memcpy(to, from, 8);
        std::memcpy(to + count - 8, from + count - 8, 8);
    } else {
        for (size_t i = 0; i + 16 < count; i += 16) {
            std::memcpy(to + i, from + i, 16);
        }
        std::memcpy(to + count - 16, from + count - 16, 16);
    }
}

/// The four vectors whose groups of four bytes are the bytes of a, b, c and d at the same place.
inline void interleave(Bytes a, Bytes b, Bytes c, Bytes d, Bytes (&groups)[4]) {
    const int16x8_t ab_low = vreinterpretq_s16_s8(vzip1q_s8(a.v, b.v)),
                    ab_high = vreinterpretq_s16_s8(vzip2q_s8(a.v, b.v)),
                    cd_low = vreinterpretq_s16_s8(vzip1q_s8(c.v, d.v)),
                    cd_high = vreinterpretq_s16_s8(vzip2q_s8(c.v, d.v));
    groups[0].v = vreinterpretq_s8_s16(vzip1q_s16(ab_low, cd_low));
    groups[1].v = vreinterpretq_s8_s16(vzip2q_s16(ab_low, cd_low));
    groups[2].v = vreinterpretq_s8_s16(vzip1q_s16(ab_high, cd_high));
    groups[3].v = vreinterpretq_s8_s16(vzip2q_s16(ab_high, cd_high));
}

/// sums * scale + shift, the product and the sum rounded once.
inline Floats scaled(Sums sums, const float* scale, const float* shift) {
    return vfmaq_f32(vld1q_f32(shift), vcvtq_f32_s32(sums.v), vld1q_f32(scale));
}

/// Four vectors of floats as 16 integers, rounded and saturated.
inline Bytes rounded(const Floats (&v)[4]) {
    const int16x8_t low = vcombine_s16(vqmovn_s32(vcvtnq_s32_f32(v[0])), vqmovn_s32(vcvtnq_s32_f32(v[1])));
    const int16x8_t high = vcombine_s16(vqmovn_s32(vcvtnq_s32_f32(v[2])), vqmovn_s32(vcvtnq_s32_f32(v[3])));
    return {vcombine_s8(vqmovn_s16(low), vqmovn_s16(high))};
}

/// The table of a Requantisation.
struct ByteTable {
    const int8_t* table;

    explicit ByteTable(const int8_t* table_) : table(table_) {}

    /// What four vectors become, rounded.
    Bytes of(const Floats (&v)[4]) const {
        const int16x8_t least = vdupq_n_s16(-256), most = vdupq_n_s16(255);
        int16x8_t low = vcombine_s16(vqmovn_s32(vcvtnq_s32_f32(v[0])), vqmovn_s32(vcvtnq_s32_f32(v[1])));
        int16x8_t high = vcombine_s16(vqmovn_s32(vcvtnq_s32_f32(v[2])), vqmovn_s32(vcvtnq_s32_f32(v[3])));
        low = vminq_s16(vmaxq_s16(low, least), most);
        high = vminq_s16(vmaxq_s16(high, least), most);
        // The last eight bits are the place in the table's half that the sign names.
        const uint8x16_t negative = vcltzq_s8(vcombine_s8(vqmovn_s16(low), vqmovn_s16(high)));
        const uint8x16_t place = vuzp1q_u8(vreinterpretq_u8_s16(low), vreinterpretq_u8_s16(high));
        return {vreinterpretq_s8_u8(vbslq_u8(negative, half(table, place), half(table + 256, place)))};
    }

  private:
    static uint8x16_t half(const int8_t* table, uint8x16_t place) {
        const auto* bytes = reinterpret_cast<const uint8_t*>(table);
        const uint8x16_t step = vdupq_n_u8(64);
        uint8x16_t found = vqtbl4q_u8(vld1q_u8_x4(bytes), place);
        for (int i = 1; i < 4; ++i) {
            place = vsubq_u8(place, step);
            found = vqtbx4q_u8(found, vld1q_u8_x4(bytes + i * 64), place);
        }
        return found;
    }
};

}  // namespace
}  // namespace mobileinst
