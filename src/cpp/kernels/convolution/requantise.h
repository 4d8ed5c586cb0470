#pragma once

// Requantisation, one output at a time.

#include <cmath>

#include "core/half.h"
#include "kernels/convert/loops.h"
#include "kernels/convolution/convolution.h"
#include "kernels/convolution/tabled.h"
#include "kernels/epilogue_ref.h"

namespace mobileinst {
namespace {

/// Where a table has the result of v, rounded to the nearest, of two to the even one.
inline size_t table_place(float v) {
    v = v > -kTabled ? v : -kTabled;
    v = v < kTabled - 1 ? v : kTabled - 1;
    return static_cast<size_t>(std::nearbyint(v) + kTabled);
}

/// Stores a value in the type of a map, to which a residual is added, by sums of type Sum that are rounded
/// once.
template <typename T, typename Sum>
inline void store_as(float v, const Tensor& residual, const Tensor& output, size_t pixel, size_t channel) {
    T y(v);
    if (residual.data != nullptr) {
        y = T(static_cast<Sum>(y) + static_cast<Sum>(Map<const T>(residual).pixel(pixel)[channel]));
    }
    Map<T>(output).pixel(pixel)[channel] = y;
}

/// Stores what the sum of an output pixel and channel becomes, as Requantisation says.
inline void store_requantised(const ConvArgs& args, int32_t sum, size_t pixel, size_t channel) {
    const Requantisation& to = args.requantisation;
    const Tensor& residual = args.epilogue.residual;
    float v = std::fma(static_cast<float>(sum + to.offset[channel]), to.scale[channel], to.shift[channel]);
    if (args.output.dtype != DType::Int8) {
        if (only_limits(args.epilogue.activation)) {
            v = v > to.low ? v : to.low;
            v = v < to.high ? v : to.high;
        } else {
            v = static_cast<float>(activate_ref(v, args.epilogue.activation));
        }
        if (args.output.dtype == DType::Float16) {
            return store_as<Half, double>(v, residual, args.output, pixel, channel);
        }
        return store_as<float, float>(v, residual, args.output, pixel, channel);
    }
    int8_t* y = Map<int8_t>(args.output).pixel(pixel) + channel;
    if (to.table != nullptr) {
        v = to.table[table_place(v)];
    }
    if (residual.data != nullptr) {
        const auto r = static_cast<float>(Map<const int8_t>(residual).pixel(pixel)[channel]);
        v = std::fma(v, to.own, std::fma(r, to.residual, to.residual_shift));
    }
    *y = round_to_int8(v);
}

}  // namespace
}  // namespace mobileinst
