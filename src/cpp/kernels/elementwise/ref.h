#pragma once

#include "kernels/elementwise/elementwise.h"
#include "kernels/epilogue_ref.h"

namespace mobileinst {
namespace {

template <typename T>
double elementwise_value_ref(const ElementwiseArgs& args, size_t pixel, size_t channel) {
    const auto at = [&](const Tensor& map) -> double {
        return static_cast<double>(Map<const T>(map).pixel(pixel)[channel]);
    };
    switch (args.op) {
        case ElementwiseOp::Copy:
            return at(args.a);
        case ElementwiseOp::Add:
            return at(args.a) + at(args.b);
        case ElementwiseOp::Multiply:
            return at(args.a) * at(args.b);
        case ElementwiseOp::MultiplyAdd:
            return at(args.a) * at(args.b) + at(args.c);
    }
    return at(args.a);
}

template <typename T>
void elementwise_run_ref(const ElementwiseArgs& args, size_t begin, size_t end) {
    const Map<T> output(args.output);
    for (size_t pixel = begin; pixel < end; ++pixel) {
        for (size_t channel = 0; channel < output.channels; ++channel) {
            const double y = activate_ref(elementwise_value_ref<T>(args, pixel, channel), args.activation);
            output.pixel(pixel)[channel] = static_cast<T>(y);
        }
    }
}

template <typename T>
constexpr ElementwiseKernels kElementwiseRef = {elementwise_run_ref<T>};

}  // namespace
}  // namespace mobileinst
