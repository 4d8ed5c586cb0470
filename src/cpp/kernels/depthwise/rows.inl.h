#pragma once

// Rows of depthwise convolution on vectors of channels. Include after core/finish.inl.h.
//
// Packed weights: per vector of channels (the last filled up with zeros), (kernel * kernel, vector).

#include "kernels/depthwise/depthwise.h"

namespace mobileinst {
namespace {

constexpr int kPixels = 6;  // outputs of a row computed together

/// The part of a row of outputs whose windows lie between the left and right borders.
struct Interior {
    size_t begin, end;

    explicit Interior(const DepthwiseArgs& args) {
        const size_t pad = args.kernel / 2, width = args.out_width();
        begin = smaller(divide_up(pad, args.stride), width);
        end = args.width > pad ? larger((args.width - 1 - pad) / args.stride + 1, begin) : begin;
        end = smaller(end, width);
    }

    Interior(size_t begin_, size_t end_) : begin(begin_), end(end_) {}
};

/// Input rows of one output row: taps [first, end) of the kernel lie inside the image.
struct RowWindow {
    const float* input;  // row of tap `first`
    size_t first, end;
    size_t wrap = 0;        // rows in a ring: how many are left at the ring's last one, or 0
    ptrdiff_t wrap_by = 0;  // floats from the ring's last row to its first

    RowWindow(const DepthwiseArgs& args, size_t y) {
        const size_t pad = args.kernel / 2, top = y * args.stride;
        first = top < pad ? pad - top : 0;
        end = smaller(args.kernel, args.height + pad - top);
        input = args.input + (top + first - pad) * args.width * args.input_ld;
    }

    /// The same with the image's row i in row i % kernel of args.input, a ring of as many rows as the kernel
    /// has.
    static RowWindow in_ring(const DepthwiseArgs& args, size_t y) {
        RowWindow window(args, y);
        const size_t row = args.width * args.input_ld;
        const size_t slot = (y * args.stride + window.first - args.kernel / 2) % args.kernel;
        const size_t rows = window.end - window.first, before_wrap = args.kernel - slot;
        window.input = args.input + slot * row;
        window.wrap = before_wrap < rows ? rows - before_wrap + 1 : 0;
        window.wrap_by = -static_cast<ptrdiff_t>((args.kernel - 1) * row);
        return window;
    }
};

/// Where one vector of channels comes from and goes to, for a few neighbouring outputs.
struct Strip {
    const float* input;     // first tap of the first output
    const float* weights;   // first tap that is used
    float* output;          // first output
    const float* residual;  // of the first output, or null
    size_t input_ld, output_ld, residual_ld;
    ptrdiff_t input_row;
    size_t rows, wrap;
    ptrdiff_t wrap_by;
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
        in += row == strip.wrap ? strip.wrap_by : strip.input_row;
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
                args.output_ld,
                finish.residual_ld,
                static_cast<ptrdiff_t>(args.width * args.input_ld),
                window.end - window.first,
                window.wrap,
                window.wrap_by};
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

template <int KERNEL, int STRIDE, int PIXELS>
inline void inner_pixels_of(size_t pixels, const DepthwiseArgs& args, const Finish& finish,
                            const RowWindow& window, size_t y, size_t x) {
    if constexpr (PIXELS > 1) {
        if (pixels < PIXELS) {
            return inner_pixels_of<KERNEL, STRIDE, PIXELS - 1>(pixels, args, finish, window, y, x);
        }
    }
    inner_pixels<KERNEL, STRIDE, PIXELS>(args, finish, window, y, x);
}

template <int KERNEL, int STRIDE>
void inner_row(const DepthwiseArgs& args, const Finish& finish, const RowWindow& window, size_t y,
               const Interior& interior) {
    for (size_t x = interior.begin; x < interior.end;) {
        const size_t left = interior.end - x;
        const size_t pixels =
            divide_up(left, divide_up(left, kPixels));  // even steps: no thin one at the end
        inner_pixels_of<KERNEL, STRIDE, kPixels>(pixels, args, finish, window, y, x);
        x += pixels;
    }
}

/// The interior of a row by the loop made for that kernel and stride; false if there is none.
inline bool inner_row_of(const DepthwiseArgs& args, const Finish& finish, const RowWindow& window, size_t y,
                         const Interior& interior) {
    if (args.kernel == 3 && args.stride == 1) {
        inner_row<3, 1>(args, finish, window, y, interior);
    } else if (args.kernel == 3 && args.stride == 2) {
        inner_row<3, 2>(args, finish, window, y, interior);
    } else if (args.kernel == 5 && args.stride == 1) {
        inner_row<5, 1>(args, finish, window, y, interior);
    } else if (args.kernel == 5 && args.stride == 2) {
        inner_row<5, 2>(args, finish, window, y, interior);
    } else {
        return false;
    }
    return true;
}

inline void depthwise_row(const DepthwiseArgs& args, const Finish& finish, const Interior& interior,
                          const RowWindow& window, size_t y) {
    for (size_t x = 0; x < interior.begin; ++x) {
        border_pixel(args, finish, window, y, x);
    }
    size_t x = inner_row_of(args, finish, window, y, interior) ? interior.end : interior.begin;
    for (; x < args.out_width(); ++x) {
        border_pixel(args, finish, window, y, x);
    }
}

}  // namespace
}  // namespace mobileinst
