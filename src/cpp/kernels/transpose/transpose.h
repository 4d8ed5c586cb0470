#pragma once

#include <cstddef>

#include "core/dtype.h"
#include "core/tensor.h"
#include "core/tier.h"

namespace mobileinst {

/// Rows to columns, from the engine's pixels of channels to the planes that users get.
struct TransposeArgs {
    Tensor input;   ///< (rows, columns)
    Tensor output;  ///< (columns, rows); must not overlap the input
};

struct TransposeKernels {
    /// Writes all of the output.
    void (*run)(const TransposeArgs& args);
};

}  // namespace mobileinst
