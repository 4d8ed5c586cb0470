#pragma once

#include <arm_neon.h>

#include "masks/overlap/overlap.h"

namespace mobileinst {
namespace {

/// 16 bytes as bits: each byte keeps the bit of its place, then neighbours are added three times.
uint16_t bits_of(uint8x16_t bytes) {
    const uint8x16_t places = {1, 2, 4, 8, 16, 32, 64, 128, 1, 2, 4, 8, 16, 32, 64, 128};
    const uint8x16_t chosen = vandq_u8(vtstq_u8(bytes, bytes), places);
    const uint8x8_t pairs = vpadd_u8(vget_low_u8(chosen), vget_high_u8(chosen));
    const uint8x8_t fours = vpadd_u8(pairs, pairs);
    const uint8x8_t eights = vpadd_u8(fours, fours);
    return vget_lane_u16(vreinterpret_u16_u8(eights), 0);
}

void overlap_pack(const uint8_t* bytes, size_t count, uint64_t* bits) {
    size_t i = 0;
    for (; i + 16 <= count; i += 16) {
        bits[i / 64] |= static_cast<uint64_t>(bits_of(vld1q_u8(bytes + i))) << (i % 64);
    }
    for (; i < count; ++i) {
        bits[i / 64] |= static_cast<uint64_t>(bytes[i] != 0) << (i % 64);
    }
}

/// The sum of 16 bytes.
uint64_t sum_of_bytes(uint8x16_t bytes) {
    const uint64x2_t halves = vpaddlq_u32(vpaddlq_u16(vpaddlq_u8(bytes)));
    return vgetq_lane_u64(halves, 0) + vgetq_lane_u64(halves, 1);
}

uint64_t count_shared(const uint64_t* a, const uint64_t* b, size_t words) {
    uint64_t count = 0;
    size_t i = 0;
    while (i + 2 <= words) {
        // a byte holds 31 vectors' counts of at most 8
        uint8x16_t counts = vdupq_n_u8(0);
        for (size_t vectors = 0; vectors < 31 && i + 2 <= words; ++vectors, i += 2) {
            const uint64x2_t both = vandq_u64(vld1q_u64(a + i), vld1q_u64(b + i));
            counts = vaddq_u8(counts, vcntq_u8(vreinterpretq_u8_u64(both)));
        }
        count += sum_of_bytes(counts);
    }
    if (i < words) {
        count += sum_of_bytes(vcombine_u8(vcnt_u8(vcreate_u8(a[i] & b[i])), vcreate_u8(0)));
    }
    return count;
}

constexpr OverlapKernels kOverlap = {overlap_pack, count_shared};

}  // namespace
}  // namespace mobileinst
