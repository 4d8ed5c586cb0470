#pragma once

#include "masks/overlap/overlap.h"

namespace mobileinst {
namespace {

void overlap_pack_ref(const uint8_t* bytes, size_t count, uint64_t* bits) {
    for (size_t i = 0; i < count; ++i) {
        bits[i / 64] |= static_cast<uint64_t>(bytes[i] != 0) << (i % 64);
    }
}

uint64_t overlap_count_shared_ref(const uint64_t* a, const uint64_t* b, size_t words) {
    uint64_t count = 0;
    for (size_t i = 0; i < words * 64; ++i) {
        count += (a[i / 64] & b[i / 64]) >> (i % 64) & 1;
    }
    return count;
}

constexpr OverlapKernels kOverlapRef = {overlap_pack_ref, overlap_count_shared_ref};

}  // namespace
}  // namespace mobileinst
