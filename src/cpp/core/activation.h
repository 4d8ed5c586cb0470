#pragma once

#include <cstddef>
#include <cstdint>

namespace mobileinst {

/// HardSigmoid is min(max(x + 3, 0), 6) / 6, Silu x / (1 + e^-x).
enum class Activation : uint8_t { None, Relu, Relu6, HardSigmoid, Silu };

/// Whether an activation is no more than limits.
constexpr bool only_limits(Activation activation) {
    return activation != Activation::HardSigmoid && activation != Activation::Silu;
}

/// What a kernel does with its sums before it stores them: y = activation(sum + bias) + residual.
struct Epilogue {
    const float* bias = nullptr;  ///< one per output channel, or null
    Activation activation = Activation::None;
    const float* residual = nullptr;  ///< laid out as the output, or null; may be the output itself
    size_t residual_ld = 0;           ///< floats from one pixel of `residual` to the next
};

}  // namespace mobileinst
