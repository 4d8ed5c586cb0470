#pragma once

// The kernels that there are for floats only: what comes before the network and after it, and attention.

#include "kernels/kernel_table.h"
#include "masks/run_length/vector.h"
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

constexpr void add_float_kernels(KernelTable& table) {
    constexpr DType f32 = DType::Float32;
    table.preprocess[f32] = &kPreprocess;
    table.transpose[f32] = &kTranspose;
    table.overlap[f32] = &kOverlap;
    table.run_length[f32] = &kRunLength;
}

}  // namespace
}  // namespace mobileinst
