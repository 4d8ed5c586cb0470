#pragma once

#include "kernels/elementwise/elementwise.h"
#include "kernels/epilogue_ref.h"

namespace mobileinst {
namespace {

double elementwise_value_at_ref(const ElementwiseArgs& args, size_t pixel, size_t channel) {
    const double a = args.a[pixel * args.a_ld + channel];
    switch (args.op) {
        case ElementwiseOp::Copy:
            return a;
        case ElementwiseOp::Add:
            return a + args.b[pixel * args.b_ld + channel];
        case ElementwiseOp::Multiply:
            return a * args.b[pixel * args.b_ld + channel];
        case ElementwiseOp::MultiplyAdd:
            return a * args.b[pixel * args.b_ld + channel] + args.c[pixel * args.c_ld + channel];
    }
    return a;
}

void elementwise_run_ref(const ElementwiseArgs& args, size_t begin, size_t end) {
    for (size_t pixel = begin; pixel < end; ++pixel) {
        for (size_t channel = 0; channel < args.channels; ++channel) {
            const double y = activate_ref(elementwise_value_at_ref(args, pixel, channel), args.activation);
            args.output[pixel * args.output_ld + channel] = static_cast<float>(y);
        }
    }
}

constexpr ElementwiseKernels kElementwiseRef = {elementwise_run_ref};

}  // namespace
}  // namespace mobileinst
