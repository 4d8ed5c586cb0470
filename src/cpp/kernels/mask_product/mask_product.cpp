#include "kernels/mask_product/mask_product.h"

#include <algorithm>

#include "kernels/gemm/gemm.h"

namespace mobileinst {
namespace {

/// Pixels whose products lie in scratch, pixel by pixel, before they are written plane by plane.
constexpr size_t kTile = 96;

}  // namespace

size_t mask_product_packed_size(Tier tier, size_t kernels, size_t channels) {
    return gemm_kernels(tier).packed_size(kernels, channels);
}

void mask_product_pack(Tier tier, const float* weights, size_t kernels, size_t channels, float* packed) {
    gemm_kernels(tier).pack(weights, channels, kernels, channels, packed);
}

size_t mask_product_scratch_size(size_t kernels) { return kTile * kernels; }

void mask_product(Tier tier, const MaskProductArgs& args, size_t begin, size_t end, float* scratch) {
    const GemmKernels& gemm = gemm_kernels(tier);
    GemmArgs tile;
    tile.lda = args.features_ld;
    tile.packed = args.packed;
    tile.c = scratch;
    tile.ldc = tile.n = args.kernels;
    tile.k = args.channels;
    for (size_t first = begin; first < end; first += kTile) {
        tile.a = args.features + first * args.features_ld;
        tile.m = std::min(kTile, end - first);
        gemm.run(tile, 0, tile.m);
        for (size_t kernel = 0; kernel < args.kernels; ++kernel) {
            float* plane = args.output + kernel * args.pixels + first;
            for (size_t i = 0; i < tile.m; ++i) {
                plane[i] = scratch[i * args.kernels + kernel];
            }
        }
    }
}

}  // namespace mobileinst
