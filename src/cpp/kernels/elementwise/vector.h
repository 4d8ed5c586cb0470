#pragma once

#include "kernels/elementwise/elementwise.h"
#include "simd/epilogue.h"

namespace mobileinst {
namespace {

/// ElementwiseArgs of elements.
struct ElementwiseView {
    Map<const Element> a, b, c;
    Map<Element> output;

    explicit ElementwiseView(const ElementwiseArgs& args)
        : a(args.a), b(args.b), c(args.c), output(args.output) {}
};

template <ElementwiseOp kOp>
inline Vec<Element> combine(const ElementwiseView& args, size_t pixel, size_t channel, size_t count) {
    const Vec<Element> a = Vec<Element>::load_up_to(args.a.pixel(pixel) + channel, count);
    if constexpr (kOp == ElementwiseOp::Copy) {
        return a;
    } else {
        const Vec<Element> b = Vec<Element>::load_up_to(args.b.pixel(pixel) + channel, count);
        if constexpr (kOp == ElementwiseOp::Add) {
            return a + b;
        } else if constexpr (kOp == ElementwiseOp::Multiply) {
            return a * b;
        } else {
            return fma(a, b, Vec<Element>::load_up_to(args.c.pixel(pixel) + channel, count));
        }
    }
}

/// VECTORS vectors from a channel on, each of the first `count` elements.
template <ElementwiseOp kOp, int VECTORS>
inline __attribute__((always_inline)) void elementwise_channels(const ElementwiseView& args,
                                                                const VecEpilogue& epilogue, size_t pixel,
                                                                size_t channel, size_t count) {
    Vec<Element> y[VECTORS];
#pragma GCC unroll 4
    for (int i = 0; i < VECTORS; ++i) {
        y[i] = combine<kOp>(args, pixel, channel + i * Vec<Element>::kWidth, count);
    }
    epilogue.activate_all(y, VECTORS);
    Element* output = args.output.pixel(pixel) + channel;
#pragma GCC unroll 4
    for (int i = 0; i < VECTORS; ++i) {
        y[i].store_up_to(output + i * Vec<Element>::kWidth, count);
    }
}

template <ElementwiseOp kOp>
void elementwise_run_op(const ElementwiseArgs& args_, size_t begin, size_t end) {
    const ElementwiseView args(args_);
    const VecEpilogue epilogue(args_.activation);
    for (size_t pixel = begin; pixel < end; ++pixel) {
        size_t channel = 0;
        for (; channel + 4 * Vec<Element>::kWidth <= args.output.channels;
             channel += 4 * Vec<Element>::kWidth) {
            elementwise_channels<kOp, 4>(args, epilogue, pixel, channel, Vec<Element>::kWidth);
        }
        for (; channel + Vec<Element>::kWidth <= args.output.channels; channel += Vec<Element>::kWidth) {
            elementwise_channels<kOp, 1>(args, epilogue, pixel, channel, Vec<Element>::kWidth);
        }
        if (channel < args.output.channels) {
            elementwise_channels<kOp, 1>(args, epilogue, pixel, channel, args.output.channels - channel);
        }
    }
}

void elementwise_run(const ElementwiseArgs& args, size_t begin, size_t end) {
    switch (args.op) {
        case ElementwiseOp::Copy:
            return elementwise_run_op<ElementwiseOp::Copy>(args, begin, end);
        case ElementwiseOp::Add:
            return elementwise_run_op<ElementwiseOp::Add>(args, begin, end);
        case ElementwiseOp::Multiply:
            return elementwise_run_op<ElementwiseOp::Multiply>(args, begin, end);
        case ElementwiseOp::MultiplyAdd:
            return elementwise_run_op<ElementwiseOp::MultiplyAdd>(args, begin, end);
    }
}

constexpr ElementwiseKernels kElementwise = {elementwise_run};

}  // namespace
}  // namespace mobileinst
