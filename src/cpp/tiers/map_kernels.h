#pragma once

// The kernels that pass over maps and wait for memory.

#include "kernels/axial_attention/vector.h"
#include "kernels/convert/loops.h"
#include "kernels/elementwise/vector.h"
#include "kernels/kernel_table.h"
#include "kernels/layer_norm/vector.h"
#include "kernels/pooling/vector.h"
#include "kernels/resize/vector.h"
#include "masks/run_length/vector.h"
#if defined(__aarch64__)
#include "kernels/preprocess/neon.h"
#include "kernels/transpose/neon.h"
#include "masks/overlap/neon.h"
#else
#include "kernels/preprocess/avx2.h"
#include "kernels/transpose/avx2.h"
#include "masks/overlap/avx2.h"
#endif

namespace mobileinst {
namespace {

constexpr void add_map_kernels(KernelTable& table) {
    constexpr DType f32 = DType::Float32;
    table.axial_attention[f32] = &kAxialAttention;
    table.elementwise[f32] = &kElementwise;
    table.layer_norm[f32] = &kLayerNorm;
    table.pool[f32] = &kPool;
    table.preprocess[f32] = &kPreprocess;
    table.resize[f32] = &kResize;
    table.transpose[f32] = &kTranspose;
    table.convert = &kConvert;
    table.overlap[f32] = &kOverlap;
    table.run_length[f32] = &kRunLength;
}

}  // namespace
}  // namespace mobileinst
