#pragma once

#include "core/interpolation.h"
#include "kernels/epilogue_ref.h"
#include "kernels/resize/resize.h"

namespace mobileinst {
namespace {

double resize_sample_ref(const float* map, size_t ld, size_t width, const LinearTap& y, const LinearTap& x,
                         size_t channel) {
    const auto at = [&](size_t row, size_t column) -> double {
        return map[(row * width + column) * ld + channel];
    };
    const double top = at(y.low, x.low) + (at(y.low, x.high) - at(y.low, x.low)) * x.weight;
    const double bottom = at(y.high, x.low) + (at(y.high, x.high) - at(y.high, x.low)) * x.weight;
    return top + (bottom - top) * y.weight;
}

void resize_run_ref(const ResizeArgs& args, size_t begin, size_t end) {
    for (size_t row = begin; row < end; ++row) {
        const LinearTap y = linear_tap(row, args.height, args.out_height);
        for (size_t column = 0; column < args.out_width; ++column) {
            const LinearTap x = linear_tap(column, args.width, args.out_width);
            const size_t pixel = row * args.out_width + column;
            for (size_t c = 0; c < args.channels; ++c) {
                double value = resize_sample_ref(args.input, args.input_ld, args.width, y, x, c);
                if (args.local != nullptr) {
                    const double local = args.local[pixel * args.local_ld + c];
                    value = args.shift == nullptr
                                ? local + value
                                : local * value +
                                      resize_sample_ref(args.shift, args.shift_ld, args.width, y, x, c);
                }
                args.output[pixel * args.output_ld + c] =
                    static_cast<float>(activate_ref(value, args.activation));
            }
        }
    }
}

constexpr ResizeKernels kResizeRef = {resize_run_ref};

}  // namespace
}  // namespace mobileinst
