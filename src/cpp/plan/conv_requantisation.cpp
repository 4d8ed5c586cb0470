#include "plan/conv_requantisation.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <stdexcept>

#include "kernels/convolution/tabled.h"
#include "kernels/epilogue_ref.h"

namespace mobileinst {
namespace {

constexpr double kLargestShift = 1 << 29;
constexpr int kLowest = -128, kHighest = 127;

double value_of(Quantisation q, int integer) { return static_cast<double>(q.scale) * (integer - q.zero); }

/// Whether the limits of int8 are those of the activation.
bool saturates_as(Activation activation, Quantisation y) {
    switch (activation) {
        case Activation::None:
            return true;
        case Activation::Relu:
            return y.zero == kLowest;
        case Activation::Relu6:
            return y.zero == kLowest && value_of(y, kHighest) <= 6.0 * (1.0 + 1e-6);
        default:
            return false;
    }
}

/// The quantisation that holds an activation's results for all integers of its argument.
Quantisation activated(Activation activation, Quantisation argument) {
    double low = 0.0, high = 0.0;
    for (int i = -kTabled; i < kTabled; ++i) {
        const double y = activate_ref(value_of(argument, i), activation);
        low = std::min(low, y);
        high = std::max(high, y);
    }
    const double scale = std::max((high - low) / 255.0, 1e-20);
    return {static_cast<float>(scale), static_cast<int32_t>(std::nearbyint(kLowest - low / scale))};
}

}  // namespace

ConvRequantisation::ConvRequantisation(const ConvWeights& weights, Activation activation, const Tensor& x,
                                       const Tensor& y, const Tensor* residual,
                                       const std::optional<Quantisation>& sums) {
    const size_t channels = weights.spec().out_channels;
    const bool floats = y.dtype != DType::Int8;
    const bool table = !floats && !saturates_as(activation, y.quantisation);
    if (!only_limits(activation) && !floats && !sums) {
        throw std::invalid_argument(
            "an int8 convolution with this activation: expected a quantisation of its sums");
    }
    // What sums are turned into first: floats, multiples of the output's scale, or integers.
    Quantisation to = floats ? Quantisation{} : y.quantisation;
    if (table) {
        to = sums.value_or(y.quantisation);
        Quantisation results = y.quantisation;
        if (residual != nullptr) {
            results = activated(activation, to);
            values_.own = results.scale / y.quantisation.scale;
            values_.residual_shift = -static_cast<float>(results.zero) * values_.own;
        }
        fill_table(activation, to, results);
    } else if (floats || residual != nullptr) {
        to.zero = 0;
    }
    if (residual != nullptr && !floats) {
        values_.residual = residual->quantisation.scale / y.quantisation.scale;
        values_.residual_shift += static_cast<float>(y.quantisation.zero) -
                                  static_cast<float>(residual->quantisation.zero) * values_.residual;
    }
    const float infinity = std::numeric_limits<float>::infinity();
    values_.low = activation == Activation::None || !only_limits(activation) ? -infinity : 0.0f;
    values_.high = activation == Activation::Relu6 ? 6.0f : infinity;

    const size_t padded = channels + 2 * kRequantisedTogether;
    offset_.resize(padded);
    scale_.resize(padded);
    shift_.resize(padded);
    // What is rounded stays far from where 32-bit integers end, as processors differ there.
    const double sum = 127.0 * 256.0 * static_cast<double>(weights.spec().weight_count() / channels);
    const double most = floats ? std::numeric_limits<float>::max() : kLargestShift / sum;
    for (size_t c = 0; c < channels; ++c) {
        const auto* biases = static_cast<const float*>(weights.bias());
        const double bias = biases == nullptr ? 0.0 : biases[c];
        offset_[c] = -x.quantisation.zero * weights.sums()[c];
        const double scale = static_cast<double>(x.quantisation.scale) * weights.scales()[c] / to.scale;
        scale_[c] = static_cast<float>(std::min(scale, most));
        shift_[c] = static_cast<float>(std::clamp(bias / to.scale + to.zero, -kLargestShift, kLargestShift));
    }
}

void ConvRequantisation::fill_table(Activation activation, Quantisation from, Quantisation to) {
    for (int i = -kTabled; i < kTabled; ++i) {
        const double y = activate_ref(value_of(from, i), activation) / to.scale + to.zero;
        table_.push_back(
            static_cast<int8_t>(std::min<double>(kHighest, std::max<double>(kLowest, std::nearbyint(y)))));
    }
    table_.resize(table_.size() + kTableSlack);
}

Requantisation ConvRequantisation::view() const {
    Requantisation view = values_;
    view.offset = offset_.data();
    view.scale = scale_.data();
    view.shift = shift_.data();
    view.table = table_.empty() ? nullptr : table_.data();
    return view;
}

}  // namespace mobileinst
