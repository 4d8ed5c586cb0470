#pragma once

#include <cstddef>
#include <cstdint>

#include "core/tensor.h"

namespace mobileinst {

/// HardSigmoid is min(max(x + 3, 0), 6) / 6, Silu x / (1 + e^-x).
enum class Activation : uint8_t { None, Relu, Relu6, HardSigmoid, Silu };

/// Whether an activation is no more than limits.
constexpr bool only_limits(Activation activation) {
    return activation != Activation::HardSigmoid && activation != Activation::Silu;
}

/// What a kernel does with its sums before it stores them: y = activation(sum + bias) + residual.
struct Epilogue {
    const void* bias = nullptr;  ///< one per output channel, of the output's type; or null
    Activation activation = Activation::None;
    Tensor residual;  ///< laid out as the output, or without data; may be the output itself
};

}  // namespace mobileinst
