#include "kernels/mask_product/mask_product.h"

#include <algorithm>

#include "kernels/gemm/gemm.h"
#include "kernels/transpose/transpose.h"

namespace mobileinst {
namespace {

/// Pixels whose products lie in scratch, pixel by pixel, before they are written plane by plane.
constexpr size_t kTile = 96;

}  // namespace

size_t mask_product_packed_size(Tier tier, size_t kernels, size_t channels) {
    return gemm_kernels(tier).packed_size(kernels, channels);
}

void mask_product_pack(Tier tier, const float* weights, size_t ld, size_t kernels, size_t channels,
                       float* packed) {
    gemm_kernels(tier).pack(weights, ld, kernels, channels, packed);
}

size_t mask_product_scratch_size(size_t kernels) { return kTile * kernels; }

void mask_product(Tier tier, const MaskProductArgs& args, size_t begin, size_t end, float* scratch) {
    const GemmKernels& gemm = gemm_kernels(tier);
    const TransposeKernels& transpose = transpose_kernels(tier);
    GemmArgs tile;
    tile.lda = args.features_ld;
    tile.packed = args.packed;
    tile.c = scratch;
    tile.ldc = tile.n = args.kernels;
    tile.k = args.channels;
    tile.epilogue.bias = args.bias;
    for (size_t first = begin; first < end; first += kTile) {
        tile.a = args.features + first * args.features_ld;
        tile.m = std::min(kTile, end - first);
        gemm.run(tile, 0, tile.m);
        TransposeArgs planes;
        planes.input = scratch;
        planes.input_ld = tile.ldc;
        planes.output = args.output + first;
        planes.output_ld = args.pixels;
        planes.rows = tile.m;
        planes.columns = args.kernels;
        transpose.run(planes);
    }
}

}  // namespace mobileinst
