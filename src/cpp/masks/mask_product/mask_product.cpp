#include "masks/mask_product/mask_product.h"

#include <algorithm>

#include "kernels/convolution/convolution.h"
#include "kernels/kernel_table.h"
#include "kernels/transpose/transpose.h"

namespace mobileinst {
namespace {

/// Pixels whose products lie in scratch, pixel by pixel, before they are written plane by plane.
constexpr size_t kTile = 96;

ConvSpec product_spec(size_t kernels, size_t channels) { return {channels, kernels, 1, 1, 1}; }

}  // namespace

size_t mask_product_packed_size(Tier tier, size_t kernels, size_t channels) {
    return kernels_of(tier, &KernelTable::gemm).packed_size(product_spec(kernels, channels));
}

void mask_product_pack(Tier tier, const float* weights, size_t kernels, size_t channels, void* packed) {
    kernels_of(tier, &KernelTable::gemm).pack(product_spec(kernels, channels), weights, packed);
}

size_t mask_product_scratch_size(size_t kernels) { return kTile * kernels * sizeof(float); }

void mask_product(Tier tier, const MaskProductArgs& args, size_t begin, size_t end, void* scratch) {
    const ConvKernels& gemm = kernels_of(tier, &KernelTable::gemm);
    const TransposeKernels& transpose = kernels_of(tier, &KernelTable::transpose);
    const Map<const float> features(args.features);
    const size_t kernels = args.output.width, pixels = features.pixels();
    ConvArgs product;
    product.packed = args.packed;
    product.epilogue.bias = args.bias;
    for (size_t first = begin; first < end; first += kTile) {
        const size_t rows = std::min(kTile, end - first);
        product.input = float_tensor(features.pixel(first), 1, rows, features.channels, features.ld);
        product.output = float_matrix(static_cast<float*>(scratch), rows, kernels);
        gemm.run(product, 0, rows, nullptr);
        float* plane = static_cast<float*>(args.output.data) + first;
        transpose.run({product.output, float_tensor(plane, 1, kernels, rows, pixels)});
    }
}

}  // namespace mobileinst
