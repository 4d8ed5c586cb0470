// Plain C++, the oracle of the other tiers.

#include "kernels/attention/ref.h"

#include "core/half.h"
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
#include "kernels/preprocess/int8.h"
#include "kernels/preprocess/ref.h"
#include "kernels/resize/int8.h"
#include "kernels/resize/ref.h"
#include "kernels/transpose/ref.h"
#include "masks/overlap/ref.h"
#include "masks/run_length/ref.h"

namespace mobileinst {
namespace {

/// The entries that all types of elements have.
template <typename T>
constexpr void add_kernels(KernelTable& table, DType dtype) {
    table.axial_attention[dtype] = &kAxialAttentionRef<T>;
    table.conv3x3[dtype] = &kConv3x3Ref<T>;
    table.conv_direct[dtype] = &kConvRef<T>;
    table.depthwise[dtype] = &kConvRef<T>;
    table.elementwise[dtype] = &kElementwiseRef<T>;
    table.gemm[dtype] = &kGemmRef<T>;
    table.inverted_residual[dtype] = &kInvertedResidualRef<T>;
    table.layer_norm[dtype] = &kLayerNormRef<T>;
    table.pool[dtype] = &kPoolRef<T>;
    table.resize[dtype] = &kResizeRef<T>;
}

constexpr KernelTable make_table() {
    KernelTable table;
    constexpr DType f32 = DType::Float32;
    add_kernels<float>(table, f32);
    add_kernels<Half>(table, DType::Float16);
    table.attention[f32] = &kAttentionRef;
    table.peak[f32] = &kPeakRef;
    table.preprocess[f32] = &kPreprocessRef;
    table.transpose[f32] = &kTransposeRef;
    table.overlap[f32] = &kOverlapRef;
    table.run_length[f32] = &kRunLengthRef;
    table.convert = &kConvert;
    constexpr DType s8 = DType::Int8;
    table.conv3x3[s8] = &kConv3x3Int8Ref;
    table.conv_direct[s8] = &kConvInt8Ref;
    table.depthwise[s8] = &kConvInt8Ref;
    table.gemm[s8] = &kGemmInt8Ref;
    table.pool[s8] = &kPoolInt8;
    table.preprocess[s8] = &kPreprocessInt8;
    table.resize[s8] = &kResizeInt8Ref;
    return table;
}

}  // namespace

constexpr KernelTable ref_kernels = make_table();

}  // namespace mobileinst
