#pragma once

#include <immintrin.h>

#include "masks/overlap/count_shared.h"
#include "masks/overlap/overlap.h"

namespace mobileinst {
namespace {

void overlap_pack(const uint8_t* bytes, size_t count, uint64_t* bits) {
    const __m256i zero = _mm256_setzero_si256();
    size_t i = 0;
    for (; i + 32 <= count; i += 32) {
        const __m256i block = _mm256_loadu_si256(reinterpret_cast<const __m256i*>(bytes + i));
        const auto empty = static_cast<uint32_t>(_mm256_movemask_epi8(_mm256_cmpeq_epi8(block, zero)));
        bits[i / 64] |= static_cast<uint64_t>(~empty) << (i % 64);
    }
    for (; i < count; ++i) {
        bits[i / 64] |= static_cast<uint64_t>(bytes[i] != 0) << (i % 64);
    }
}

constexpr OverlapKernels kOverlap = {overlap_pack, count_shared};

}  // namespace
}  // namespace mobileinst
