#pragma once

// All kernels of floats. Those that there are for no other type are listed here: what comes before the
// network and after it, and attention.

#include "kernels/attention/vector.h"
#include "kernels/convert/loops.h"
#include "kernels/kernel_table.h"
#include "kernels/peak/vector.h"
#include "masks/run_length/vector.h"
#include "tiers/map_kernels.h"
#include "tiers/matrix_kernels.h"
#if defined(__ARM_NEON)
#include "kernels/preprocess/neon.h"
#include "kernels/transpose/neon.h"
#include "masks/overlap/neon.h"
#elif defined(__AVX2__)
#include "kernels/preprocess/avx2.h"
#include "kernels/transpose/avx2.h"
#include "masks/overlap/avx2.h"
#else
#include "kernels/preprocess/sse.h"
#include "kernels/transpose/sse.h"
#include "masks/overlap/sse.h"
#endif

namespace mobileinst {
namespace {

/// The table of a tier that leaves nothing of floats to others, converting by loops.
constexpr KernelTable float_kernels() {
    constexpr DType f32 = DType::Float32;
    KernelTable table;
    table.convert = &kConvert;
    add_map_kernels(table);
    add_matrix_kernels(table);
    table.attention[f32] = &kAttention;
    table.peak[f32] = &kPeak;
    table.preprocess[f32] = &kPreprocess;
    table.transpose[f32] = &kTranspose;
    table.overlap[f32] = &kOverlap;
    table.run_length[f32] = &kRunLength;
    return table;
}

/// The same, converting as its base does.
constexpr KernelTable float_kernels(const KernelTable* base) {
    KernelTable table = float_kernels();
    table.base = base;
    table.convert = nullptr;
    return table;
}

}  // namespace
}  // namespace mobileinst
