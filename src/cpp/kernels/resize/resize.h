#pragma once

#include <cstddef>

#include "core/activation.h"
#include "core/dtype.h"
#include "core/tier.h"

namespace mobileinst {

/// Bilinear resize R of one map (half-pixel centres, no antialias), alone or with what follows it:
/// `local` without data: y = R(input); `local` only: y = local + R(input); both: y = local * R(input) +
/// R(shift). An activation comes last. The output may be `local` itself, else must not overlap anything.
/// Of integers there is no shift, and no activation beyond limits (int8.h).
struct ResizeArgs {
    Tensor input;
    Tensor shift;  ///< as input
    Tensor local;  ///< as output
    Tensor output;
    Activation activation = Activation::None;
};

struct ResizeKernels {
    /// Computes output rows [begin, end).
    void (*run)(const ResizeArgs& args, size_t begin, size_t end);
};

}  // namespace mobileinst
