#pragma once

#include <cstddef>
#include <cstdint>

#include "core/activation.h"
#include "core/dtype.h"
#include "core/tier.h"

namespace mobileinst {

enum class ElementwiseOp : uint8_t {
    Copy,         ///< a
    Add,          ///< a + b
    Multiply,     ///< a * b
    MultiplyAdd,  ///< a * b + c
};

/// One operation on maps of the same size, then an activation. The output may be any input itself.
struct ElementwiseArgs {
    ElementwiseOp op = ElementwiseOp::Copy;
    Tensor a, b, c;  ///< those that the operation takes
    Tensor output;
    Activation activation = Activation::None;
};

struct ElementwiseKernels {
    /// Computes pixels [begin, end).
    void (*run)(const ElementwiseArgs& args, size_t begin, size_t end);
};

}  // namespace mobileinst
