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

/// VECTORS vectors from a channel on, each of the first `count` floats.
template <ElementwiseOp kOp, int VECTORS>
inline __attribute__((always_inline)) void run_channels(const ElementwiseArgs& args, const Finish& finish,
                                                        size_t pixel, size_t channel, size_t count) {
    Vec y[VECTORS];
#pragma GCC unroll 4
    for (int i = 0; i < VECTORS; ++i) {
        y[i] = combine<kOp>(args, pixel, channel + i * Vec::kWidth, count);
    }
    finish.activate_all(y, VECTORS);
    float* output = args.output + pixel * args.output_ld + channel;
#pragma GCC unroll 4
    for (int i = 0; i < VECTORS; ++i) {
        y[i].store_up_to(output + i * Vec::kWidth, count);
    }
}

template <ElementwiseOp kOp>
void run_op(const ElementwiseArgs& args_, size_t begin, size_t end) {
    const ElementwiseArgs args = args_;  // a copy that stores can't change
    Epilogue epilogue;
    epilogue.activation = args.activation;
    const Finish finish(epilogue);
    for (size_t pixel = begin; pixel < end; ++pixel) {
        size_t channel = 0;
        for (; channel + 4 * Vec::kWidth <= args.channels; channel += 4 * Vec::kWidth) {
            run_channels<kOp, 4>(args, finish, pixel, channel, Vec::kWidth);
        }
        for (; channel + Vec::kWidth <= args.channels; channel += Vec::kWidth) {
            run_channels<kOp, 1>(args, finish, pixel, channel, Vec::kWidth);
        }
        if (channel < args.channels) {
            run_channels<kOp, 1>(args, finish, pixel, channel, args.channels - channel);
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
