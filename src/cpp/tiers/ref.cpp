// Plain C++, the oracle of the other tiers.

#include "kernels/attention/ref.h"

#include "kernels/axial_attention/ref.h"
#include "kernels/convert/loops.h"
#include "kernels/convolution/int8_ref.h"
#include "kernels/convolution/ref.h"
#include "kernels/elementwise/ref.h"
#include "kernels/inverted_residual/ref.h"
#include "kernels/kernel_table.h"
#include "kernels/layer_norm/ref.h"
#include "kernels/peak/ref.h"
#include "kernels/pooling/int8.h"
#include "kernels/pooling/ref.h"
#include "kernels/preprocess/ref.h"
#include "kernels/resize/ref.h"
#include "kernels/transpose/ref.h"
#include "masks/overlap/ref.h"
#include "masks/run_length/ref.h"

namespace mobileinst {
namespace {

constexpr KernelTable make_table() {
    KernelTable table;
    constexpr DType f32 = DType::Float32;
    table.attention[f32] = &kAttentionRef;
    table.axial_attention[f32] = &kAxialAttentionRef;
    table.conv3x3[f32] = &kConv3x3Ref;
    table.conv_direct[f32] = &kConvRef;
    table.depthwise[f32] = &kConvRef;
    table.elementwise[f32] = &kElementwiseRef;
    table.gemm[f32] = &kGemmRef;
    table.inverted_residual[f32] = &kInvertedResidualRef;
    table.layer_norm[f32] = &kLayerNormRef;
    table.peak[f32] = &kPeakRef;
    table.pool[f32] = &kPoolRef;
    table.preprocess[f32] = &kPreprocessRef;
    table.resize[f32] = &kResizeRef;
    table.transpose[f32] = &kTransposeRef;
    table.overlap[f32] = &kOverlapRef;
    table.run_length[f32] = &kRunLengthRef;
    table.convert = &kConvert;
    constexpr DType s8 = DType::Int8;
    table.conv_direct[s8] = &kConvInt8Ref;
    table.depthwise[s8] = &kConvInt8Ref;
    table.gemm[s8] = &kGemmInt8Ref;
    table.pool[s8] = &kPoolInt8;
    return table;
}

}  // namespace

constexpr KernelTable ref_kernels = make_table();

}  // namespace mobileinst
