#pragma once

#include <emmintrin.h>

#include "masks/overlap/count_shared.h"
#include "masks/overlap/overlap.h"

namespace mobileinst {
namespace {

void overlap_pack(const uint8_t* bytes, size_t count, uint64_t* bits) {
    const __m128i zero = _mm_setzero_si128();
    size_t i = 0;
    for (; i + 16 <= count; i += 16) {
        const __m128i block = _mm_loadu_si128(reinterpret_cast<const __m128i*>(bytes + i));
        const auto empty = static_cast<uint32_t>(_mm_movemask_epi8(_mm_cmpeq_epi8(block, zero)));
        bits[i / 64] |= static_cast<uint64_t>(~empty & 0xffff) << (i % 64);
    }
    for (; i < count; ++i) {
        bits[i / 64] |= static_cast<uint64_t>(bytes[i] != 0) << (i % 64);
    }
}

constexpr OverlapKernels kOverlap = {overlap_pack, count_shared};

}  // namespace
}  // namespace mobileinst
