#include "kernels/kernel_table.h"

#include <stdexcept>
#include <string>

namespace mobileinst {
namespace {

/// Null for a tier that this build does not have.
const KernelTable* table_of(Tier tier) {
    switch (tier) {
        case Tier::Ref:
            return &ref_kernels;
#if defined(__x86_64__)
        case Tier::Avx2:
            return &avx2_kernels;
        case Tier::Avx512:
            return &avx512_kernels;
#elif defined(__aarch64__)
        case Tier::Neon:
            return &neon_kernels;
#endif
        default:
            return nullptr;
    }
}

/// The first that a tier or those below it have; get(table) gives a pointer to a table's kernels, or null.
template <typename Get>
const auto& find(Tier tier, const Get& get) {
    for (const KernelTable* table = table_of(tier); table != nullptr; table = table->base) {
        if (const auto* found = get(*table)) {
            return *found;
        }
    }
    throw std::invalid_argument(std::string("this build lacks a kernel for the tier '") + tier_name(tier) +
                                "'");
}

template <typename Kernels>
const Kernels& find(Tier tier, DType dtype, ByDType<Kernels> KernelTable::* operation) {
    return find(tier, [&](const KernelTable& table) { return (table.*operation)[dtype]; });
}

}  // namespace

const AttentionKernels& attention_kernels(Tier tier, DType dtype) {
    return find(tier, dtype, &KernelTable::attention);
}
const AxialAttentionKernels& axial_attention_kernels(Tier tier, DType dtype) {
    return find(tier, dtype, &KernelTable::axial_attention);
}
const Conv3x3Variants& conv3x3_variants(Tier tier, DType dtype) {
    return find(tier, dtype, &KernelTable::conv3x3);
}
const ConvKernels& conv_direct_kernels(Tier tier, DType dtype) {
    return find(tier, dtype, &KernelTable::conv_direct);
}
const ConvKernels& depthwise_kernels(Tier tier, DType dtype) {
    return find(tier, dtype, &KernelTable::depthwise);
}
const ElementwiseKernels& elementwise_kernels(Tier tier, DType dtype) {
    return find(tier, dtype, &KernelTable::elementwise);
}
const ConvKernels& gemm_kernels(Tier tier, DType dtype) { return find(tier, dtype, &KernelTable::gemm); }
const InvertedResidualKernels& inverted_residual_kernels(Tier tier, DType dtype) {
    return find(tier, dtype, &KernelTable::inverted_residual);
}
const LayerNormKernels& layer_norm_kernels(Tier tier, DType dtype) {
    return find(tier, dtype, &KernelTable::layer_norm);
}
const PeakKernels& peak_kernels(Tier tier, DType dtype) { return find(tier, dtype, &KernelTable::peak); }
const PoolKernels& pool_kernels(Tier tier, DType dtype) { return find(tier, dtype, &KernelTable::pool); }
const PreprocessKernels& preprocess_kernels(Tier tier, DType dtype) {
    return find(tier, dtype, &KernelTable::preprocess);
}
const ResizeKernels& resize_kernels(Tier tier, DType dtype) {
    return find(tier, dtype, &KernelTable::resize);
}
const TransposeKernels& transpose_kernels(Tier tier, DType dtype) {
    return find(tier, dtype, &KernelTable::transpose);
}

const OverlapKernels& overlap_kernels(Tier tier) {
    return find(tier, [](const KernelTable& table) { return table.overlap; });
}
const RunLengthKernels& run_length_kernels(Tier tier) {
    return find(tier, [](const KernelTable& table) { return table.run_length; });
}

}  // namespace mobileinst
