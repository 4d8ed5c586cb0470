#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

#include "core/tier.h"

namespace mobileinst {

/// Masks of one size with a bit for each cell, row after row, and how many cells each holds.
struct MaskBits {
    size_t words = 0;             ///< of one mask
    std::vector<uint64_t> bits;   ///< (masks, words); bits beyond the last cell are 0
    std::vector<uint64_t> areas;  ///< (masks)

    size_t masks() const { return areas.size(); }
    const uint64_t* mask(size_t i) const { return bits.data() + i * words; }
};

/// Packs masks (masks, cells) of bytes 0 and 1.
MaskBits pack_masks(Tier tier, const uint8_t* masks, size_t count, size_t cells);

/// Intersection over union of each mask of `a` with each of `b`: out (a.masks(), b.masks()), 0 where both
/// are empty. Masks must be of one size. `out` is symmetric where both are the same object.
void mask_iou(Tier tier, const MaskBits& a, const MaskBits& b, float* out);

/// Share of each mask that those before it in `order` (a permutation) don't cover: out (masks), by mask; 0
/// for empty ones.
void own_shares(Tier tier, const MaskBits& masks, const size_t* order, float* out);

/// What differs by instruction set.
struct OverlapKernels {
    /// Bit i of bits (zeroed by the caller) becomes 1 where bytes[i] is not 0.
    void (*pack)(const uint8_t* bytes, size_t count, uint64_t* bits);
    /// Number of ones in a & b.
    uint64_t (*count_shared)(const uint64_t* a, const uint64_t* b, size_t words);
};

}  // namespace mobileinst
