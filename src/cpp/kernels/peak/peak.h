#pragma once

#include <cstddef>

#include "core/dtype.h"
#include "core/tier.h"

namespace mobileinst {

/// Measures what a core can do at most: independent fused multiply-adds, or dot products of bytes, between
/// registers, no memory.
struct PeakKernels {
    /// Runs `steps` steps of the loop; `seeds` are two floats, `sum` receives a value that depends on all.
    void (*run)(size_t steps, const float* seeds, float* sum);
    /// Operations of one step; a multiply-add counts as two.
    size_t operations;
};

}  // namespace mobileinst
