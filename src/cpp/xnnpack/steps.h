#pragma once

// What making an operator takes, whatever its type.

#include <xnnpack.h>

#include <stdexcept>
#include <string>
#include <vector>

#include "xnnpack/operators.h"

namespace mobileinst::xnnpack {

/// Throws unless XNNPACK did the step.
inline void check(xnn_status status, const char* step) {
    if (status == xnn_status_invalid_parameter || status == xnn_status_unsupported_parameter) {
        throw std::invalid_argument(std::string("XNNPACK: ") + step + ": unsupported shape");
    }
    if (status != xnn_status_success) {
        throw std::runtime_error(std::string("XNNPACK: ") + step + " failed, status " +
                                 std::to_string(status));
    }
}

inline void check_available() {
    if (!available()) {
        throw std::runtime_error("XNNPACK can't run on this machine");
    }
}

/// Throws unless the channels divide into the groups.
inline void check_groups(const Convolution& shape) {
    if (shape.groups == 0 || shape.in_channels % shape.groups != 0 ||
        shape.out_channels % shape.groups != 0) {
        throw std::invalid_argument("XNNPACK: channels do not divide into " + std::to_string(shape.groups) +
                                    " groups");
    }
}

/// Throws for an activation that is more than limits, which XNNPACK's operators don't have.
inline void check_limits(Activation activation) {
    if (activation == Activation::HardSigmoid || activation == Activation::Silu) {
        throw std::invalid_argument(std::string("XNNPACK: expected no activation, relu or relu6, got ") +
                                    (activation == Activation::Silu ? "silu" : "hard_sigmoid"));
    }
}

/// Weights (O, I, k, k) of a convolution as XNNPACK's (O, k, k, I).
template <typename T>
std::vector<T> channels_last(const Convolution& shape, const T* weight) {
    const size_t inputs = shape.in_channels / shape.groups, taps = shape.kernel * shape.kernel;
    std::vector<T> result(shape.out_channels * inputs * taps);
    for (size_t o = 0; o < shape.out_channels; ++o) {
        for (size_t i = 0; i < inputs; ++i) {
            for (size_t t = 0; t < taps; ++t) {
                result[(o * taps + t) * inputs + i] = weight[(o * inputs + i) * taps + t];
            }
        }
    }
    return result;
}

}  // namespace mobileinst::xnnpack
