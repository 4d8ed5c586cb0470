#pragma once

#include <cstddef>

#include "core/dtype.h"
#include "core/tensor.h"
#include "core/tier.h"

namespace mobileinst {

/// The same values in another type, or as integers of another quantisation: x = scale * (q - zero), and
/// q = x / scale + zero, rounded to the nearest, of two the even one, and limited to [-128, 127]; -128 of
/// NaN. Where x is a half, so are scale, 1 / scale and, before it becomes an integer, q. Output must not
/// overlap input.
struct ConvertArgs {
    Tensor input, output;
};

/// Computes pixels [begin, end). Every tier gives the same bits.
using ConvertRun = void(const ConvertArgs& args, size_t begin, size_t end);

/// By the types of input and output; null where a tier has none.
struct ConvertKernels {
    ConvertRun* of[kDTypes][kDTypes] = {};
};

/// The conversion of a tier, or the plain one where it has none. Throws std::invalid_argument if there is
/// none between these types.
ConvertRun& convert_kernel(Tier tier, DType from, DType to);

}  // namespace mobileinst
