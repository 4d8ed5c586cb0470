#pragma once

#include <cstddef>

#include "core/activation.h"
#include "core/dtype.h"
#include "core/row_ring.h"
#include "core/tensor.h"
#include "core/tier.h"

namespace mobileinst {

/// An inverted residual block (MobileNetV2, arXiv 1801.04381, section 3.3) of one NHWC image in one pass: 1x1
/// expansion with activation, depthwise convolution with activation, 1x1 projection with its epilogue.
/// Output must not overlap input, unless as `epilogue.residual`, which may be the input.
struct InvertedResidualArgs {
    Tensor input, output;
    size_t hidden = 0;
    size_t kernel = 3;  ///< 3 or 5
    size_t stride = 1;  ///< 1 or 2
    /// Weights packed by KernelTable::gemm (hidden, in_channels); null if the block has no expansion, and
    /// then hidden = in_channels.
    const void* expand = nullptr;
    const void* expand_bias = nullptr;  ///< biases are of the type of the elements
    const void* depthwise = nullptr;    ///< packed by KernelTable::depthwise
    const void* depthwise_bias = nullptr;
    const void* project = nullptr;             ///< packed by KernelTable::gemm (out_channels, hidden)
    Activation activation = Activation::None;  ///< after expansion and depthwise convolution
    Epilogue epilogue;                         ///< of the projection

    // For blocks that follow one another row by row; only where runs_on() allows.
    RowRing input_ring;   ///< holds `kernel` rows or more; also of the residual, which must be the input
    RowRing output_ring;  ///< not with a residual that is not the input
    /// The run before, with this scratch, ended where this one begins: what it expanded is used again.
    bool resumes = false;
};

/// The block of one tier. It pays where the expanded map would not stay in cache: at high resolution.
struct InvertedResidualKernels {
    /// Bytes of scratch that one run() needs; concurrent runs need one each, aligned to 64 bytes.
    size_t (*scratch_size)(const InvertedResidualArgs& args);
    /// Computes output rows [begin, end). Any split gives the same bits, equal to those
    /// of the three kernels run one after the other; each range expands kernel - stride rows again that its
    /// neighbour has.
    void (*run)(const InvertedResidualArgs& args, size_t begin, size_t end, void* scratch);
    /// Whether runs may resume and maps may lie in rings: where the map is not cut into columns.
    bool (*runs_on)(const InvertedResidualArgs& args);
};

}  // namespace mobileinst
