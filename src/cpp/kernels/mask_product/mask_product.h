#pragma once

#include <cstddef>

#include "core/tier.h"

namespace mobileinst {

/// Mask logits: for each kernel and pixel the dot product with the pixel's mask feature (paper, M = K *
/// X_mask).
struct MaskProductArgs {
    const float* features = nullptr;  ///< (pixels, channels)
    size_t features_ld = 0;
    const float* packed = nullptr;                 ///< kernels, from pack()
    const float* bias = nullptr;                   ///< (kernels,), added to every pixel; or null
    float* output = nullptr;                       ///< (kernels, pixels), contiguous: one plane per kernel
    size_t pixels = 0, channels = 0, kernels = 0;  ///< each >= 1
};

/// Floats that mask_product_pack() writes.
size_t mask_product_packed_size(Tier tier, size_t kernels, size_t channels);

/// Packs kernels (kernels, channels), rows `ld` floats apart. `packed` should be 64-byte aligned.
void mask_product_pack(Tier tier, const float* weights, size_t ld, size_t kernels, size_t channels,
                       float* packed);

/// Floats of scratch that one mask_product() needs; concurrent calls need one each, 64-byte aligned.
size_t mask_product_scratch_size(size_t kernels);

/// Computes pixels [begin, end) of all planes with the matrix product of the tier.
void mask_product(Tier tier, const MaskProductArgs& args, size_t begin, size_t end, float* scratch);

}  // namespace mobileinst
