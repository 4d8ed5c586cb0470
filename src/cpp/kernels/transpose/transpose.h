#pragma once

#include <cstddef>

#include "core/dtype.h"
#include "core/tier.h"

namespace mobileinst {

/// Rows to columns, from the engine's pixels of channels to the planes that users get.
struct TransposeArgs {
    const float* input = nullptr;  ///< (rows, columns)
    size_t input_ld = 0;           ///< floats from one row to the next, >= columns
    float* output = nullptr;       ///< (columns, rows); must not overlap input
    size_t output_ld = 0;          ///< >= rows
    size_t rows = 0, columns = 0;
};

struct TransposeKernels {
    /// Writes all of the output.
    void (*run)(const TransposeArgs& args);
};

/// The kernels of a tier; throws std::invalid_argument if this build lacks them.
const TransposeKernels& transpose_kernels(Tier tier, DType dtype = DType::Float32);

}  // namespace mobileinst
