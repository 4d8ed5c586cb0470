#pragma once

#include "core/finish.inl.h"
#include "kernels/elementwise/elementwise.h"

namespace mobileinst {
namespace {

template <ElementwiseOp kOp>
inline Vec combine(const ElementwiseArgs& args, size_t pixel, size_t channel, size_t count) {
    const Vec a = Vec::load_up_to(args.a + pixel * args.a_ld + channel, count);
    if constexpr (kOp == ElementwiseOp::Copy) {
        return a;
    } else {
        const Vec b = Vec::load_up_to(args.b + pixel * args.b_ld + channel, count);
        if constexpr (kOp == ElementwiseOp::Add) {
            return a + b;
        } else if constexpr (kOp == ElementwiseOp::Multiply) {
            return a * b;
        } else {
            return fma(a, b, Vec::load_up_to(args.c + pixel * args.c_ld + channel, count));
        }
    }
}

template <ElementwiseOp kOp>
void run_op(const ElementwiseArgs& args, size_t begin, size_t end) {
    Epilogue epilogue;
    epilogue.activation = args.activation;
    const Finish finish(epilogue);
    const size_t whole = args.channels / Vec::kWidth * Vec::kWidth;
    for (size_t pixel = begin; pixel < end; ++pixel) {
        float* output = args.output + pixel * args.output_ld;
        for (size_t channel = 0; channel < whole; channel += Vec::kWidth) {
            finish.activate(combine<kOp>(args, pixel, channel, Vec::kWidth)).store(output + channel);
        }
        if (whole < args.channels) {
            const size_t rest = args.channels - whole;
            finish.activate(combine<kOp>(args, pixel, whole, rest)).store_first(output + whole, rest);
        }
    }
}

void run(const ElementwiseArgs& args, size_t begin, size_t end) {
    switch (args.op) {
        case ElementwiseOp::Copy:
            return run_op<ElementwiseOp::Copy>(args, begin, end);
        case ElementwiseOp::Add:
            return run_op<ElementwiseOp::Add>(args, begin, end);
        case ElementwiseOp::Multiply:
            return run_op<ElementwiseOp::Multiply>(args, begin, end);
        case ElementwiseOp::MultiplyAdd:
            return run_op<ElementwiseOp::MultiplyAdd>(args, begin, end);
    }
}

}  // namespace
}  // namespace mobileinst
