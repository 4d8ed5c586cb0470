#pragma once

#include "core/dtype.h"
#include "kernels/attention/attention.h"
#include "kernels/axial_attention/axial_attention.h"
#include "kernels/conv3x3/conv3x3.h"
#include "kernels/conv_direct/conv_direct.h"
#include "kernels/depthwise/depthwise.h"
#include "kernels/elementwise/elementwise.h"
#include "kernels/gemm/gemm.h"
#include "kernels/inverted_residual/inverted_residual.h"
#include "kernels/layer_norm/layer_norm.h"
#include "kernels/peak/peak.h"
#include "kernels/pooling/pooling.h"
#include "kernels/preprocess/preprocess.h"
#include "kernels/resize/resize.h"
#include "kernels/transpose/transpose.h"
#include "masks/overlap/overlap.h"
#include "masks/run_length/run_length.h"

namespace mobileinst {

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
    ByDType<ConvKernels> conv_direct;
    ByDType<ConvKernels> depthwise;
    ByDType<ElementwiseKernels> elementwise;
    ByDType<ConvKernels> gemm;
    ByDType<InvertedResidualKernels> inverted_residual;
    ByDType<LayerNormKernels> layer_norm;
    ByDType<PeakKernels> peak;
    ByDType<PoolKernels> pool;
    ByDType<PreprocessKernels> preprocess;
    ByDType<ResizeKernels> resize;
    ByDType<TransposeKernels> transpose;

    // of masks
    const OverlapKernels* overlap = nullptr;
    const RunLengthKernels* run_length = nullptr;
};

extern const KernelTable ref_kernels, neon_kernels, avx2_kernels, avx512_kernels;

}  // namespace mobileinst
