#pragma once

// The epilogue on vectors.

#include <limits>

#include "core/activation.h"
#include "simd/math.h"
#include "simd/vec.h"

namespace mobileinst {
namespace {

inline Vec<Element> silu(Vec<Element> x) { return x * sigmoid(x); }

/// silu() of many vectors in memory: once in the program, not in every tile of every kernel.
[[maybe_unused]] __attribute__((noinline)) void silu_all(Vec<Element>* x, int count) {
    for (int i = 0; i < count; ++i) {
        x[i] = silu(x[i]);
    }
}

inline Epilogue with_activation(Activation activation) {
    Epilogue epilogue;
    epilogue.activation = activation;
    return epilogue;
}

/// An activation that only limits, as assembly takes it: bits, 1 a lower limit of 0, 2 an upper one of 6.
constexpr size_t limit_bits(Activation activation) {
    return (activation != Activation::None ? 1 : 0) + (activation == Activation::Relu6 ? 2 : 0);
}

/// An Epilogue readied for vectors; sums begin at bias(), so that it costs nothing.
struct VecEpilogue {
    static constexpr int kMostVectors = 32;

    const Element* bias_values;
    const Element* residual;
    size_t residual_ld;
    Activation activation;
    float low, high;
    size_t mode;  ///< see TileTarget

    explicit VecEpilogue(const Epilogue& epilogue)
        : bias_values(static_cast<const Element*>(epilogue.bias)),
          residual(static_cast<const Element*>(epilogue.residual.data)),
          residual_ld(epilogue.residual.stride / sizeof(Element)),
          activation(epilogue.activation),
          low(activation == Activation::None || activation == Activation::Silu
                  ? -std::numeric_limits<float>::infinity()
                  : 0.0f),
          high(activation == Activation::Relu6 || activation == Activation::HardSigmoid
                   ? 6.0f
                   : std::numeric_limits<float>::infinity()),
          mode(limit_bits(activation) + (residual == nullptr ? 0 : 4)) {}

    /// An activation alone.
    explicit VecEpilogue(Activation activation_) : VecEpilogue(with_activation(activation_)) {}

    Vec<Element> bias(size_t channel, size_t count) const {
        return bias_values == nullptr ? Vec<Element>::zero()
                                      : Vec<Element>::load_up_to(bias_values + channel, count);
    }

    Vec<Element> activate(Vec<Element> x) const {
        if (activation == Activation::Silu) {
            return silu(x);
        }
        if (activation == Activation::HardSigmoid) {
            return clamp(x + Vec<Element>::fill(3.0f), Vec<Element>::fill(low), Vec<Element>::fill(high)) *
                   Vec<Element>::fill(1.0f / 6.0f);
        }
        return clamp(x, Vec<Element>::fill(low), Vec<Element>::fill(high));
    }

    /// activate() of vectors [0, count), with no instruction more than the activation needs.
    inline __attribute__((always_inline)) void activate_all(Vec<Element>* x, int count) const {
        if (activation == Activation::None) {
            return;
        }
        if (activation == Activation::Relu) {
            const Vec<Element> zero = Vec<Element>::zero();
#pragma GCC unroll 32
            for (int i = 0; i < count; ++i) {
                x[i] = at_least(x[i], zero);
            }
            return;
        }
        if (activation == Activation::Silu) {
            Vec<Element> copies[kMostVectors];  // x itself stays in registers, having no address
#pragma GCC unroll 32
            for (int i = 0; i < count; ++i) {
                copies[i] = x[i];
            }
            silu_all(copies, count);
#pragma GCC unroll 32
            for (int i = 0; i < count; ++i) {
                x[i] = copies[i];
            }
            return;
        }
        if (activation == Activation::HardSigmoid) {
#pragma GCC unroll 32
            for (int i = 0; i < count; ++i) {
                x[i] = (x[i] + Vec<Element>::fill(3.0f));
            }
        }
#pragma GCC unroll 32
        for (int i = 0; i < count; ++i) {
            x[i] = clamp(x[i], Vec<Element>::fill(0.0f), Vec<Element>::fill(6.0f));
        }
        if (activation == Activation::HardSigmoid) {
#pragma GCC unroll 32
            for (int i = 0; i < count; ++i) {
                x[i] = x[i] * Vec<Element>::fill(1.0f / 6.0f);
            }
        }
    }

    /// Finishes a vector of sums and stores it, or its first `count` elements, at that pixel and channel.
    void store(Vec<Element> sum, Element* output, size_t pixel, size_t channel, size_t count) const {
        store_activated(activate(sum), output, pixel, channel, count);
    }

    /// The same after activate().
    void store_activated(Vec<Element> y, Element* output, size_t pixel, size_t channel, size_t count) const {
        if (residual != nullptr) {
            y = y + Vec<Element>::load_up_to(residual + pixel * residual_ld + channel, count);
        }
        y.store_up_to(output, count);
    }
};

}  // namespace
}  // namespace mobileinst
