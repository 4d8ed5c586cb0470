#pragma once

// Rows of depthwise convolution on vectors of channels. Include after core/finish.inl.h and
// kernels/gemm/start.inl.h.
//
// Packed weights: per vector of channels (the last filled up with zeros), (kernel * kernel, vector).

#include "kernels/depthwise/depthwise.h"
#include "kernels/depthwise/vector_row.inl.h"

namespace mobileinst {
namespace {

constexpr int kPixels = 6;  // outputs of a row computed together
/// Vectors of channels computed together: NEON has registers for two, which halves its address arithmetic.
constexpr int kStripVectors = Vec::kWidth == 4 ? 2 : 1;

/// Whether a row is computed one vector of channels after the other rather than all channels of a few pixels:
/// where a vector is a whole cache line, for otherwise lines come from the second-level cache several times.
constexpr bool kByVectors = Vec::kWidth == 16;

template <int VALUE>
struct Constant {
    static constexpr int value = VALUE;
};

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

/// Where one or two vectors of channels come from and go to, for a few neighbouring outputs.
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

/// PIXELS outputs of VECTORS vectors of channels; load and store move a vector, whole or in part. LEFT and
/// RIGHT columns of the windows lie outside the image.
template <int KERNEL, int STRIDE, int PIXELS, int LEFT, int RIGHT, int VECTORS, typename Load, typename Store>
inline __attribute__((always_inline)) void convolve_strip(const Strip& strip, const Vec (&bias)[VECTORS],
                                                          const Finish& finish, Load&& load, Store&& store) {
    constexpr int kInputs = (PIXELS - 1) * STRIDE + KERNEL;
    Vec acc[PIXELS][VECTORS];
    start_rows(bias, acc);
    const float* in = strip.input;
    const float* weights = strip.weights;
    for (size_t row = strip.rows; row > 0; --row) {
        Vec w[VECTORS][KERNEL];
#pragma GCC unroll 2
        for (int v = 0; v < VECTORS; ++v) {
            const float* from = settled(weights + v * KERNEL * KERNEL * Vec::kWidth);
#pragma GCC unroll 8
            for (int kx = 0; kx < KERNEL; ++kx) {
                w[v][kx] = Vec::load(from + kx * Vec::kWidth);
            }
        }
        const float* pixel = in;
#pragma GCC unroll 16
        for (int i = LEFT; i < kInputs - RIGHT; ++i) {
#pragma GCC unroll 2
            for (int v = 0; v < VECTORS; ++v) {
                const Vec value = load(pixel + v * Vec::kWidth);
#pragma GCC unroll 8
                for (int p = 0; p < PIXELS; ++p) {
                    if (i >= p * STRIDE && i < p * STRIDE + KERNEL) {
                        acc[p][v] = fma(value, w[v][i - p * STRIDE], acc[p][v]);
                    }
                }
            }
            pixel = next_address(pixel, in, i + 1 - LEFT, strip.input_ld);
        }
        in += row == strip.wrap ? strip.wrap_by : strip.input_row;
        weights += KERNEL * Vec::kWidth;
    }
    finish.activate_all(&acc[0][0], PIXELS * VECTORS);
    if (strip.residual != nullptr) {
        const float* from = strip.residual;
#pragma GCC unroll 8
        for (int p = 0; p < PIXELS; ++p) {
#pragma GCC unroll 2
            for (int v = 0; v < VECTORS; ++v) {
                acc[p][v] = acc[p][v] + load(from + v * Vec::kWidth);
            }
            from = next_address(from, strip.residual, p + 1, strip.residual_ld);
        }
    }
    float* to = strip.output;
#pragma GCC unroll 8
    for (int p = 0; p < PIXELS; ++p) {
#pragma GCC unroll 2
        for (int v = 0; v < VECTORS; ++v) {
            store(acc[p][v], to + v * Vec::kWidth);
        }
        to = next_address(to, strip.output, p + 1, strip.output_ld);
    }
}

/// PIXELS outputs beginning at x for all channels. LEFT columns of the first window and RIGHT of the last lie
/// outside the image.
template <int KERNEL, int STRIDE, int PIXELS, int LEFT, int RIGHT>
void inner_pixels(const DepthwiseArgs& args, const Finish& finish_, const RowWindow& window, size_t y,
                  size_t x) {
    const Finish finish = finish_;
    const size_t pixel = y * args.out_width() + x, channels = args.channels;
    Strip strip{window.input + (x * STRIDE + LEFT - KERNEL / 2) * args.input_ld,
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
    const auto advance = [&](size_t vectors) {
        strip.input += vectors * Vec::kWidth;
        strip.output += vectors * Vec::kWidth;
        strip.weights += vectors * KERNEL * KERNEL * Vec::kWidth;
        strip.residual = strip.residual == nullptr ? nullptr : strip.residual + vectors * Vec::kWidth;
    };
    const auto load = [](const float* p) { return Vec::load(p); };
    const auto store = [](Vec v, float* p) { v.store(p); };
    size_t c = 0;
    if constexpr (kStripVectors == 2) {
        for (; c + 2 * Vec::kWidth <= channels; c += 2 * Vec::kWidth) {
            const Vec bias[2] = {finish.bias(c, Vec::kWidth), finish.bias(c + Vec::kWidth, Vec::kWidth)};
            convolve_strip<KERNEL, STRIDE, PIXELS, LEFT, RIGHT>(strip, bias, finish, load, store);
            advance(2);
        }
    }
    for (; c + Vec::kWidth <= channels; c += Vec::kWidth) {
        const Vec bias[1] = {finish.bias(c, Vec::kWidth)};
        convolve_strip<KERNEL, STRIDE, PIXELS, LEFT, RIGHT>(strip, bias, finish, load, store);
        advance(1);
    }
    if (c < channels) {
        const size_t count = channels - c;
        const Vec bias[1] = {finish.bias(c, count)};
        convolve_strip<KERNEL, STRIDE, PIXELS, LEFT, RIGHT>(
            strip, bias, finish, [count](const float* p) { return Vec::load_first(p, count); },
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
    inner_pixels<KERNEL, STRIDE, PIXELS, 0, 0>(args, finish, window, y, x);
}

/// The interior of a row whose window lies inside the image, one vector of channels after the other.
template <int KERNEL, int STRIDE>
void inner_row_by_vectors(const DepthwiseArgs& args, const Finish& finish, const RowWindow& window, size_t y,
                          const Interior& interior) {
    VectorRow row;
    const float* from = window.input + (interior.begin * STRIDE - KERNEL / 2) * args.input_ld;
    for (int ky = 0; ky < KERNEL; ++ky) {
        row.rows[ky] = from;
        from += KERNEL - ky == static_cast<int>(window.wrap)
                    ? window.wrap_by
                    : static_cast<ptrdiff_t>(args.width * args.input_ld);
    }
    row.input_ld = args.input_ld;
    row.weights = args.packed;
    row.output = args.output + (y * args.out_width() + interior.begin) * args.output_ld;
    row.output_ld = args.output_ld;
    row.channels = args.channels;
    vector_row<KERNEL, STRIDE, kPixels>(row, interior.end - interior.begin, finish);
}

template <int KERNEL, int STRIDE>
void inner_row(const DepthwiseArgs& args, const Finish& finish, const RowWindow& window, size_t y,
               const Interior& interior) {
    if constexpr (kByVectors) {
        if (interior.begin < interior.end && window.end - window.first == KERNEL &&
            finish.residual == nullptr) {
            return inner_row_by_vectors<KERNEL, STRIDE>(args, finish, window, y, interior);
        }
    }
    for (size_t x = interior.begin; x < interior.end;) {
        const size_t left = interior.end - x;
        const size_t pixels =
            divide_up(left, divide_up(left, kPixels));  // even steps: no thin one at the end
        inner_pixels_of<KERNEL, STRIDE, kPixels>(pixels, args, finish, window, y, x);
        x += pixels;
    }
}

/// A whole row of a map that has an interior, by strips at its ends of which some columns lie outside.
template <int KERNEL, int STRIDE>
void whole_row(const DepthwiseArgs& args, const Finish& finish, const RowWindow& window, size_t y,
               const Interior& interior) {
    constexpr int kPad = KERNEL / 2, kEnd = (kPad + STRIDE - 1) / STRIDE;  // outputs at an end
    inner_pixels<KERNEL, STRIDE, kEnd, kPad, 0>(args, finish, window, y, 0);
    inner_row<KERNEL, STRIDE>(args, finish, window, y, interior);
    if (interior.end == args.out_width()) {
        return;
    }
    if constexpr (kPad > 1 && STRIDE > 1) {
        const size_t outside = (args.out_width() - 1) * STRIDE + kPad + 1 - args.width;
        if (outside < kPad) {
            return inner_pixels<KERNEL, STRIDE, kEnd, 0, 1>(args, finish, window, y, interior.end);
        }
    }
    inner_pixels<KERNEL, STRIDE, kEnd, 0, kPad>(args, finish, window, y, interior.end);
}

/// Calls f(kernel, stride), as constants, if there is a loop made for them; false if there is none.
template <typename F>
inline bool with_loop(const DepthwiseArgs& args, F&& f) {
    if (args.kernel == 3 && args.stride == 1) {
        f(Constant<3>(), Constant<1>());
    } else if (args.kernel == 3 && args.stride == 2) {
        f(Constant<3>(), Constant<2>());
    } else if (args.kernel == 5 && args.stride == 1) {
        f(Constant<5>(), Constant<1>());
    } else if (args.kernel == 5 && args.stride == 2) {
        f(Constant<5>(), Constant<2>());
    } else {
        return false;
    }
    return true;
}

/// The interior of a row by the loop made for that kernel and stride; false if there is none.
inline bool inner_row_of(const DepthwiseArgs& args, const Finish& finish, const RowWindow& window, size_t y,
                         const Interior& interior) {
    return with_loop(args, [&](auto kernel, auto stride) {
        inner_row<kernel.value, stride.value>(args, finish, window, y, interior);
    });
}

inline void depthwise_row(const DepthwiseArgs& args, const Finish& finish, const Interior& interior,
                          const RowWindow& window, size_t y) {
    if (interior.begin < interior.end && with_loop(
                                             args,
                                             [&](auto kernel, auto stride) {
                                                 whole_row<kernel.value, stride.value>(args, finish, window,
                                                                                       y, interior);
                                             })) {
        return;
    }
    for (size_t x = 0; x < args.out_width(); ++x) {
        border_pixel(args, finish, window, y, x);
    }
}

}  // namespace
}  // namespace mobileinst
