#include "core/epilogue_ref.h"
#include "kernels/elementwise/elementwise.h"

namespace mobileinst {
namespace {

double value_at(const ElementwiseArgs& args, size_t pixel, size_t channel) {
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

void run(const ElementwiseArgs& args, size_t begin, size_t end) {
    for (size_t pixel = begin; pixel < end; ++pixel) {
        for (size_t channel = 0; channel < args.channels; ++channel) {
            const double y = activate_ref(value_at(args, pixel, channel), args.activation);
            args.output[pixel * args.output_ld + channel] = static_cast<float>(y);
        }
    }
}

}  // namespace

const ElementwiseKernels elementwise_f32_ref = {run};

}  // namespace mobileinst
