#pragma once

#include <cstddef>

#include "core/tier.h"

namespace mobileinst {

/// Measures what a core can do at most: independent fused multiply-adds between registers, no memory.
struct PeakKernels {
    /// Runs `steps` steps of the loop; `seeds` are two floats, `sum` receives a value that depends on all.
    void (*run)(size_t steps, const float* seeds, float* sum);
    /// Floating-point operations of one step; a multiply-add counts as two.
    size_t operations;
};

/// The loop of a tier; throws std::invalid_argument if this build lacks it.
const PeakKernels& peak_kernels(Tier tier);

extern const PeakKernels peak_f32_ref;
#if defined(__x86_64__) || defined(_M_X64)
extern const PeakKernels peak_f32_avx2;
extern const PeakKernels peak_f32_avx512;
#elif defined(__aarch64__)
extern const PeakKernels peak_f32_neon;
#endif

}  // namespace mobileinst
