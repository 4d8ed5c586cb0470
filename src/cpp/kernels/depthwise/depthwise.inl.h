#pragma once

// Depthwise convolution on vectors of channels. Include after core/finish.inl.h and the constant
//   kPixels  output pixels computed together where the image is wide enough
//
// Packed weights: per vector of channels (the last filled up with zeros), (kernel * kernel, vector).

#include "kernels/depthwise/depthwise.h"

namespace mobileinst {
namespace {

size_t depthwise_packed_size(size_t channels, size_t kernel) {
    return kernel * kernel * round_up(channels, Vec::kWidth);
}

void depthwise_pack(const float* weight, size_t channels, size_t kernel, float* packed) {
    const size_t taps = kernel * kernel;
    for (size_t first = 0; first < channels; first += Vec::kWidth) {
        for (size_t tap = 0; tap < taps; ++tap) {
            for (size_t c = first; c < first + Vec::kWidth; ++c) {
                *packed++ = c < channels ? weight[c * taps + tap] : 0.0f;
            }
        }
    }
}

/// The part of a row of outputs whose windows lie between the left and right borders.
struct Interior {
    size_t begin, end;

    explicit Interior(const DepthwiseArgs& args) {
        const size_t pad = args.kernel / 2, width = args.out_width();
        begin = smaller(divide_up(pad, args.stride), width);
        end = args.width > pad ? larger((args.width - 1 - pad) / args.stride + 1, begin) : begin;
        end = smaller(end, width);
    }
};

/// Input rows of one output row: taps [first, end) of the kernel lie inside the image.
struct RowWindow {
    const float* input;  // row of tap `first`
    size_t first, end;

    RowWindow(const DepthwiseArgs& args, size_t y) {
        const size_t pad = args.kernel / 2, top = y * args.stride;
        first = top < pad ? pad - top : 0;
        end = smaller(args.kernel, args.height + pad - top);
        input = args.input + (top + first - pad) * args.width * args.input_ld;
    }
};

/// Where one vector of channels comes from and goes to, for a few neighbouring outputs.
struct Strip {
    const float* input;     // first tap of the first output
    const float* weights;   // first tap that is used
    float* output;          // first output
    const float* residual;  // of the first output, or null
    size_t input_ld, input_row, output_ld, residual_ld, rows;
};

/// PIXELS outputs of one vector of channels; LOAD and STORE move a vector, whole or in part.
template <int KERNEL, int STRIDE, int PIXELS, typename Load, typename Store>
inline __attribute__((always_inline)) void convolve_strip(const Strip& strip, Vec bias, const Finish& finish,
                                                          Load&& load, Store&& store) {
    constexpr int kInputs = (PIXELS - 1) * STRIDE + KERNEL;
    Vec acc[PIXELS];
#pragma GCC unroll 8
    for (int p = 0; p < PIXELS; ++p) {
        acc[p] = bias;
    }
    const float* in = strip.input;
    const float* weights = strip.weights;
    for (size_t row = strip.rows; row > 0; --row) {
        Vec w[KERNEL];
#pragma GCC unroll 8
        for (int kx = 0; kx < KERNEL; ++kx) {
            w[kx] = Vec::load(weights + kx * Vec::kWidth);
        }
#pragma GCC unroll 16
        for (int i = 0; i < kInputs; ++i) {
            const Vec value = load(in + i * strip.input_ld);
#pragma GCC unroll 8
            for (int p = 0; p < PIXELS; ++p) {
                if (i >= p * STRIDE && i < p * STRIDE + KERNEL) {
                    acc[p] = fma(value, w[i - p * STRIDE], acc[p]);
                }
            }
        }
        in += strip.input_row;
        weights += KERNEL * Vec::kWidth;
    }
#pragma GCC unroll 8
    for (int p = 0; p < PIXELS; ++p) {
        acc[p] = finish.activate(acc[p]);
    }
    if (strip.residual != nullptr) {
#pragma GCC unroll 8
        for (int p = 0; p < PIXELS; ++p) {
            acc[p] = acc[p] + load(strip.residual + p * strip.residual_ld);
        }
    }
#pragma GCC unroll 8
    for (int p = 0; p < PIXELS; ++p) {
        store(acc[p], strip.output + p * strip.output_ld);
    }
}

/// PIXELS outputs beginning at x, whose windows lie inside the row, for all channels.
template <int KERNEL, int STRIDE, int PIXELS>
void inner_pixels(const DepthwiseArgs& args, const Finish& finish_, const RowWindow& window, size_t y,
                  size_t x) {
    const Finish finish = finish_;
    const size_t pixel = y * args.out_width() + x, channels = args.channels;
    Strip strip{window.input + (x * STRIDE - KERNEL / 2) * args.input_ld,
                args.packed + window.first * KERNEL * Vec::kWidth,
                args.output + pixel * args.output_ld,
                finish.residual == nullptr ? nullptr : finish.residual + pixel * finish.residual_ld,
                args.input_ld,
                args.width * args.input_ld,
                args.output_ld,
                finish.residual_ld,
                window.end - window.first};
    size_t c = 0;
    for (; c + Vec::kWidth <= channels; c += Vec::kWidth) {
        convolve_strip<KERNEL, STRIDE, PIXELS>(
            strip, finish.bias(c, Vec::kWidth), finish, [](const float* p) { return Vec::load(p); },
            [](Vec v, float* p) { v.store(p); });
        strip.input += Vec::kWidth;
        strip.output += Vec::kWidth;
        strip.weights += KERNEL * KERNEL * Vec::kWidth;
        strip.residual = strip.residual == nullptr ? nullptr : strip.residual + Vec::kWidth;
    }
    if (c < channels) {
        const size_t count = channels - c;
        convolve_strip<KERNEL, STRIDE, PIXELS>(
            strip, finish.bias(c, count), finish,
            [count](const float* p) { return Vec::load_first(p, count); },
            [count](Vec v, float* p) { v.store_first(p, count); });
    }
}

/// One output whose window may reach over the borders; any kernel and stride.
void border_pixel(const DepthwiseArgs& args, const Finish& finish, const RowWindow& window, size_t y,
                  size_t x) {
    const size_t pad = args.kernel / 2, left = x * args.stride;
    const size_t first = left < pad ? pad - left : 0, end = smaller(args.kernel, args.width + pad - left);
    const size_t pixel = y * args.out_width() + x;
    const float* weights = args.packed;
    for (size_t c = 0; c < args.channels; c += Vec::kWidth) {
        const size_t count = args.channels - c;
        Vec acc = finish.bias(c, count);
        const float* row = window.input + (left + first - pad) * args.input_ld + c;
        for (size_t ky = window.first; ky < window.end; ++ky) {
            for (size_t kx = first; kx < end; ++kx) {
                const Vec w = Vec::load(weights + (ky * args.kernel + kx) * Vec::kWidth);
                acc = fma(Vec::load_up_to(row + (kx - first) * args.input_ld, count), w, acc);
            }
            row += args.width * args.input_ld;
        }
        finish.store(acc, args.output + pixel * args.output_ld + c, pixel, c, count);
        weights += args.kernel * args.kernel * Vec::kWidth;
    }
}

template <int KERNEL, int STRIDE>
void inner_row(const DepthwiseArgs& args, const Finish& finish, const RowWindow& window, size_t y,
               const Interior& interior) {
    size_t x = interior.begin;
    for (; x + kPixels <= interior.end; x += kPixels) {
        inner_pixels<KERNEL, STRIDE, kPixels>(args, finish, window, y, x);
    }
    for (; x < interior.end; ++x) {
        inner_pixels<KERNEL, STRIDE, 1>(args, finish, window, y, x);
    }
}

void depthwise_row(const DepthwiseArgs& args, const Finish& finish, const Interior& interior, size_t y) {
    const RowWindow window(args, y);
    for (size_t x = 0; x < interior.begin; ++x) {
        border_pixel(args, finish, window, y, x);
    }
    if (args.kernel == 3 && args.stride == 1) {
        inner_row<3, 1>(args, finish, window, y, interior);
    } else if (args.kernel == 3 && args.stride == 2) {
        inner_row<3, 2>(args, finish, window, y, interior);
    } else if (args.kernel == 5 && args.stride == 1) {
        inner_row<5, 1>(args, finish, window, y, interior);
    } else if (args.kernel == 5 && args.stride == 2) {
        inner_row<5, 2>(args, finish, window, y, interior);
    } else {
        for (size_t x = interior.begin; x < interior.end; ++x) {
            border_pixel(args, finish, window, y, x);
        }
    }
    for (size_t x = interior.end; x < args.out_width(); ++x) {
        border_pixel(args, finish, window, y, x);
    }
}

void depthwise_run(const DepthwiseArgs& args, size_t begin, size_t end) {
    const Finish finish(args.epilogue);
    const Interior interior(args);
    for (size_t y = begin; y < end; ++y) {
        depthwise_row(args, finish, interior, y);
    }
}

}  // namespace
}  // namespace mobileinst
