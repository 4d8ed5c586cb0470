#pragma once

#include <cstddef>

#include "core/tensor.h"
#include "core/tier.h"

namespace mobileinst {

/// Mask logits: for each kernel and pixel the dot product with the pixel's mask feature (paper, M = K *
/// X_mask).
struct MaskProductArgs {
    Tensor features;               ///< (pixels, channels)
    const void* packed = nullptr;  ///< kernels, from pack()
    const float* bias = nullptr;   ///< (kernels,), added to every pixel; or null
    Tensor output;                 ///< (1, kernels, pixels), contiguous: one plane per kernel
};

/// Bytes that mask_product_pack() writes.
size_t mask_product_packed_size(Tier tier, size_t kernels, size_t channels);

/// Packs kernels (kernels, channels), contiguous. `packed` should be aligned to 64 bytes.
void mask_product_pack(Tier tier, const float* weights, size_t kernels, size_t channels, void* packed);

/// Bytes of scratch that one mask_product() needs; concurrent calls need one each, aligned to 64 bytes.
size_t mask_product_scratch_size(size_t kernels);

/// Computes pixels [begin, end) of all planes with the matrix product of the tier.
void mask_product(Tier tier, const MaskProductArgs& args, size_t begin, size_t end, void* scratch);

}  // namespace mobileinst
