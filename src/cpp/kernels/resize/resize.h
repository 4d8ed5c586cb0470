#pragma once

#include <cstddef>

#include "core/activation.h"
#include "core/dtype.h"
#include "core/tier.h"

namespace mobileinst {

/// Bilinear resize R of one map (half-pixel centres, no antialias), alone or with what follows it:
/// `local` null: y = R(input); `local` only: y = local + R(input); both: y = local * R(input) + R(shift).
/// An activation comes last. The output may be `local` itself, else must not overlap anything.
struct ResizeArgs {
    const float* input = nullptr;  ///< (height, width, channels)
    size_t input_ld = 0;
    const float* shift = nullptr;  ///< as input
    size_t shift_ld = 0;
    const float* local = nullptr;  ///< as output
    size_t local_ld = 0;
    float* output = nullptr;  ///< (out_height, out_width, channels)
    size_t output_ld = 0;
    size_t height = 0, width = 0, out_height = 0, out_width = 0, channels = 0;  ///< each >= 1
    Activation activation = Activation::None;
};

struct ResizeKernels {
    /// Computes output rows [begin, end).
    void (*run)(const ResizeArgs& args, size_t begin, size_t end);
};

/// The kernels of a tier; throws std::invalid_argument if this build lacks them.
const ResizeKernels& resize_kernels(Tier tier, DType dtype = DType::Float32);

}  // namespace mobileinst
