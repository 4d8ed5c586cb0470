#include <algorithm>

#include "core/epilogue_ref.h"
#include "kernels/depthwise/depthwise.h"

namespace mobileinst {
namespace {

size_t packed_size(size_t channels, size_t kernel) { return channels * kernel * kernel; }

void pack(const float* weight, size_t channels, size_t kernel, float* packed) {
    std::copy_n(weight, packed_size(channels, kernel), packed);
}

double sum_at(const DepthwiseArgs& args, size_t y, size_t x, size_t channel) {
    const size_t pad = args.kernel / 2;
    double sum = 0.0;
    for (size_t ky = 0; ky < args.kernel; ++ky) {
        for (size_t kx = 0; kx < args.kernel; ++kx) {
            const size_t iy = y * args.stride + ky - pad,
                         ix = x * args.stride + kx - pad;  // wraps when outside
            if (iy < args.height && ix < args.width) {
                const float w = args.packed[(channel * args.kernel + ky) * args.kernel + kx];
                sum += static_cast<double>(args.input[(iy * args.width + ix) * args.input_ld + channel]) * w;
            }
        }
    }
    return sum;
}

void run(const DepthwiseArgs& args, size_t begin, size_t end) {
    for (size_t y = begin; y < end; ++y) {
        for (size_t x = 0; x < args.out_width(); ++x) {
            const size_t pixel = y * args.out_width() + x;
            for (size_t channel = 0; channel < args.channels; ++channel) {
                args.output[pixel * args.output_ld + channel] =
                    finish_ref(sum_at(args, y, x, channel), args.epilogue, pixel, channel);
            }
        }
    }
}

}  // namespace

const DepthwiseKernels depthwise_f32_ref = {packed_size, pack, run};

}  // namespace mobileinst
