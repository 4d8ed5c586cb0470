#pragma once

#include <string>

#include "core/dtype.h"
#include "core/tier.h"

namespace mobileinst {

// Each stands in the header of its operation.
struct AttentionKernels;
struct AxialAttentionKernels;
struct Conv3x3Variants;
struct ConvertKernels;
struct ConvKernels;
struct ElementwiseKernels;
struct InvertedResidualKernels;
struct LayerNormKernels;
struct OverlapKernels;
struct PeakKernels;
struct PoolKernels;
struct PreprocessKernels;
struct ResizeKernels;
struct RunLengthKernels;
struct TransposeKernels;

/// An operation's kernels by the type of its elements; null where there are none.
template <typename Kernels>
struct ByDType {
    const Kernels* of[kDTypes] = {};

    constexpr const Kernels*& operator[](DType dtype) { return of[static_cast<size_t>(dtype)]; }
    constexpr const Kernels* operator[](DType dtype) const { return of[static_cast<size_t>(dtype)]; }
};

/// What a tier computes with. Each tier's file in tiers/ fills one, as a constant: no code of a tier may run
/// before the processor is known.
struct KernelTable {
    /// The tier whose kernels serve where this one has none, or null; every machine of this tier runs it too.
    const KernelTable* base = nullptr;

    ByDType<AttentionKernels> attention;
    ByDType<AxialAttentionKernels> axial_attention;
    ByDType<Conv3x3Variants> conv3x3;
    /// Any stride and groups, vectorised over output channels: the network's first layer, dense kernels at
    /// stride 2, and whatever has no kernel of its own. Needs no scratch.
    ByDType<ConvKernels> conv_direct;
    /// Kernels 3 and 5 at strides 1 and 2 have their own loops. Needs no scratch.
    ByDType<ConvKernels> depthwise;
    ByDType<ElementwiseKernels> elementwise;
    /// Matrix products: 1x1 convolutions and linear layers. Rows of the input are pixels or tokens, not
    /// packed; units of work are rows of the output. The residual may be the output itself. Needs no scratch.
    ByDType<ConvKernels> gemm;
    ByDType<InvertedResidualKernels> inverted_residual;
    ByDType<LayerNormKernels> layer_norm;
    ByDType<PeakKernels> peak;
    ByDType<PoolKernels> pool;
    ByDType<PreprocessKernels> preprocess;
    ByDType<ResizeKernels> resize;
    ByDType<TransposeKernels> transpose;

    const ConvertKernels* convert = nullptr;

    // of masks
    ByDType<OverlapKernels> overlap;
    ByDType<RunLengthKernels> run_length;
};

/// Calls f(name, member) for the operations of the network: the name of the folder, and the kernels' place.
template <typename F>
void for_each_operation(const F& f) {
    f("attention", &KernelTable::attention);
    f("axial_attention", &KernelTable::axial_attention);
    f("conv3x3", &KernelTable::conv3x3);
    f("conv_direct", &KernelTable::conv_direct);
    f("depthwise", &KernelTable::depthwise);
    f("elementwise", &KernelTable::elementwise);
    f("gemm", &KernelTable::gemm);
    f("inverted_residual", &KernelTable::inverted_residual);
    f("layer_norm", &KernelTable::layer_norm);
    f("pooling", &KernelTable::pool);
    f("preprocess", &KernelTable::preprocess);
    f("resize", &KernelTable::resize);
}

/// The tables of tiers/, of which a build has those of its architecture.
extern const KernelTable ref_kernels, neon_armv7_kernels, neon_kernels, neon_fp16_kernels, neon_dot_kernels,
    neon_i8mm_kernels, sse_kernels, avx2_kernels, avx2_fp16_kernels, avx2_int8_kernels, avx2_vnni_kernels,
    avx512_kernels, avx512_vnni_kernels;

/// The table of a tier, or null if this build lacks it.
const KernelTable* table_of(Tier tier);

/// Throws std::invalid_argument: this build lacks a kernel for that tier and type.
[[noreturn]] void throw_no_kernels(Tier tier, DType dtype);

/// Whether a tier, or one that serves for it, has kernels of a type for an operation of the network, which
/// goes by the name of its folder. Throws std::invalid_argument for an operation that is unknown.
bool has_kernels(Tier tier, DType dtype, const std::string& operation);

/// An operation's kernels: those of the tier, or of the first below it that has some. Throws
/// std::invalid_argument if none has. As in kernels_of(tier, &KernelTable::resize).
template <typename Kernels>
const Kernels& kernels_of(Tier tier, ByDType<Kernels> KernelTable::* operation,
                          DType dtype = DType::Float32) {
    for (const KernelTable* table = table_of(tier); table != nullptr; table = table->base) {
        if (const Kernels* found = (table->*operation)[dtype]) {
            return *found;
        }
    }
    throw_no_kernels(tier, dtype);
}

}  // namespace mobileinst
