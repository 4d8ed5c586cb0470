#include "masks/overlap/overlap.h"

#include <algorithm>

#include "kernels/kernel_table.h"

namespace mobileinst {

MaskBits pack_masks(Tier tier, const uint8_t* masks, size_t count, size_t cells) {
    const OverlapKernels& kernels = kernels_of(tier, &KernelTable::overlap);
    MaskBits packed;
    packed.words = (cells + 63) / 64;
    packed.bits.resize(count * packed.words);
    packed.areas.resize(count);
    for (size_t i = 0; i < count; ++i) {
        uint64_t* bits = packed.bits.data() + i * packed.words;
        kernels.pack(masks + i * cells, cells, bits);
        packed.areas[i] = kernels.count_shared(bits, bits, packed.words);
    }
    return packed;
}

void mask_iou(Tier tier, const MaskBits& a, const MaskBits& b, float* out) {
    const OverlapKernels& kernels = kernels_of(tier, &KernelTable::overlap);
    const bool same = &a == &b;
    for (size_t i = 0; i < a.masks(); ++i) {
        for (size_t j = same ? i : 0; j < b.masks(); ++j) {
            const uint64_t shared = kernels.count_shared(a.mask(i), b.mask(j), a.words);
            const uint64_t both = std::max<uint64_t>(a.areas[i] + b.areas[j] - shared, 1);
            const float iou = static_cast<float>(shared) / static_cast<float>(both);
            out[i * b.masks() + j] = iou;
            if (same) {
                out[j * b.masks() + i] = iou;
            }
        }
    }
}

void own_shares(Tier tier, const MaskBits& masks, const size_t* order, float* out) {
    const OverlapKernels& kernels = kernels_of(tier, &KernelTable::overlap);
    std::vector<uint64_t> covered(masks.words);
    for (size_t place = 0; place < masks.masks(); ++place) {
        const uint64_t* mask = masks.mask(order[place]);
        const uint64_t area = masks.areas[order[place]];
        const uint64_t own = area - kernels.count_shared(mask, covered.data(), masks.words);
        out[order[place]] =
            static_cast<float>(static_cast<double>(own) / static_cast<double>(std::max<uint64_t>(area, 1)));
        for (size_t word = 0; word < masks.words; ++word) {
            covered[word] |= mask[word];
        }
    }
}

}  // namespace mobileinst
