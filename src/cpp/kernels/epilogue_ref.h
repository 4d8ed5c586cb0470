#pragma once

#include <algorithm>
#include <cmath>
#include <cstddef>

#include "core/activation.h"

namespace mobileinst {

inline double activate_ref(double x, Activation activation) {
    switch (activation) {
        case Activation::None:
            return x;
        case Activation::Relu:
            return std::max(x, 0.0);
        case Activation::Relu6:
            return std::min(std::max(x, 0.0), 6.0);
        case Activation::HardSigmoid:
            return std::min(std::max(x + 3.0, 0.0), 6.0) / 6.0;
        case Activation::Silu:
            return x / (1.0 + std::exp(-x));
    }
    return x;
}

/// The output at one pixel and channel from its sum, of elements T.
template <typename T>
inline T apply_epilogue(double sum, const Epilogue& epilogue, size_t pixel, size_t channel) {
    if (epilogue.bias != nullptr) {
        sum += static_cast<double>(static_cast<const T*>(epilogue.bias)[channel]);
    }
    double y = activate_ref(sum, epilogue.activation);
    if (epilogue.residual.data != nullptr) {
        y += static_cast<double>(Map<const T>(epilogue.residual).pixel(pixel)[channel]);
    }
    return static_cast<T>(y);
}

}  // namespace mobileinst
