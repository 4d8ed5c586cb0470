#pragma once

#include "core/interpolation.h"
#include "kernels/epilogue_ref.h"
#include "kernels/resize/resize.h"

namespace mobileinst {
namespace {

template <typename T>
double resize_sample_ref(const Map<const T>& map, const LinearTap& y, const LinearTap& x, size_t channel) {
    const auto at = [&](size_t row, size_t column) -> double {
        return static_cast<double>(map.pixel(row * map.width + column)[channel]);
    };
    const double top = at(y.low, x.low) + (at(y.low, x.high) - at(y.low, x.low)) * x.weight;
    const double bottom = at(y.high, x.low) + (at(y.high, x.high) - at(y.high, x.low)) * x.weight;
    return top + (bottom - top) * y.weight;
}

template <typename T>
void resize_run_ref(const ResizeArgs& args, size_t begin, size_t end) {
    const Map<const T> input(args.input), local(args.local), shift(args.shift);
    const Map<T> output(args.output);
    for (size_t row = begin; row < end; ++row) {
        const LinearTap y = linear_tap(row, input.height, output.height);
        for (size_t column = 0; column < output.width; ++column) {
            const LinearTap x = linear_tap(column, input.width, output.width);
            const size_t pixel = row * output.width + column;
            for (size_t c = 0; c < output.channels; ++c) {
                double value = resize_sample_ref(input, y, x, c);
                if (local.data != nullptr) {
                    const auto factor = static_cast<double>(local.pixel(pixel)[c]);
                    value = shift.data == nullptr ? factor + value
                                                  : factor * value + resize_sample_ref(shift, y, x, c);
                }
                output.pixel(pixel)[c] = static_cast<T>(activate_ref(value, args.activation));
            }
        }
    }
}

template <typename T>
constexpr ResizeKernels kResizeRef = {resize_run_ref<T>};

}  // namespace
}  // namespace mobileinst
