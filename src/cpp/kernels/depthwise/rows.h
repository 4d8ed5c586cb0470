#pragma once

// Rows of depthwise convolution on vectors of channels.

#include "core/row_ring.h"
#include "kernels/convolution/view.h"
#include "kernels/depthwise/strip.h"
#include "kernels/depthwise/vector_row.h"
#include "kernels/gemm/start.h"
#if defined(__aarch64__)
#include "kernels/depthwise/strip_neon.h"
#endif

namespace mobileinst {
namespace {

/// Whether a row is computed one vector of channels after the other rather than all channels of a few pixels:
/// where a vector is a whole cache line, for otherwise lines come from the second-level cache several times.
constexpr bool kByVectors = kVecBytes == 64;

template <int VALUE>
struct Constant {
    static constexpr int value = VALUE;
};

/// The part of a row of outputs whose windows lie between the left and right borders.
struct Interior {
    size_t begin, end;

    explicit Interior(const ConvView<Element>& args) {
        const size_t pad = args.kernel / 2, width = args.output.width;
        begin = smaller(divide_up(pad, args.stride), width);
        end = args.input.width > pad ? larger((args.input.width - 1 - pad) / args.stride + 1, begin) : begin;
        end = smaller(end, width);
    }

    Interior(size_t begin_, size_t end_) : begin(begin_), end(end_) {}
};

/// Input rows of one output row: taps [first, end) of the kernel lie inside the image.
struct RowWindow {
    size_t first, end;
    const Element* rows[kLargestKernel];  // of these taps

    /// `ring` says where the rows of args.input lie.
    RowWindow(const ConvView<Element>& args, size_t y, RowRing ring = {}) {
        const size_t pad = args.kernel / 2, top = y * args.stride;
        first = top < pad ? pad - top : 0;
        end = smaller(args.kernel, args.input.height + pad - top);
        size_t slot = ring.slot(top + first - pad);
        for (size_t i = 0; i < smaller(end - first, kLargestKernel); ++i) {
            rows[i] = args.input.data + slot * args.input.width * args.input.ld;
            slot = slot + 1 == ring.slots ? 0 : slot + 1;
        }
    }
};

/// PIXELS outputs of VECTORS vectors of channels; load and store move a vector, whole or in part. LEFT and
/// RIGHT columns of the windows lie outside the image.
template <int KERNEL, int STRIDE, int PIXELS, int LEFT, int RIGHT, int VECTORS, typename Load, typename Store>
inline __attribute__((always_inline)) void convolve_strip(const Strip& strip, const VecEpilogue& epilogue,
                                                          Load&& load, Store&& store) {
    constexpr int kInputs = (PIXELS - 1) * STRIDE + KERNEL;
    Vec<Element> start[VECTORS], acc[PIXELS][VECTORS];
#pragma GCC unroll 4
    for (int v = 0; v < VECTORS; ++v) {
        start[v] = load(strip.bias + v * Vec<Element>::kWidth);
    }
    start_rows(start, acc);
    const Element* weights = strip.weights;
    for (size_t row = 0; row < strip.row_count; ++row) {
        const Element* in = strip.rows[row] + strip.offset;
        Vec<Element> w[KERNEL][VECTORS];
#pragma GCC unroll 8
        for (int kx = 0; kx < KERNEL; ++kx) {
#pragma GCC unroll 4
            for (int v = 0; v < VECTORS; ++v) {
                w[kx][v] = Vec<Element>::load(weights + (kx * VECTORS + v) * Vec<Element>::kWidth);
            }
        }
        const Element* pixel = in;
#pragma GCC unroll 20
        for (int i = LEFT; i < kInputs - RIGHT; ++i) {
#pragma GCC unroll 4
            for (int v = 0; v < VECTORS; ++v) {
                const Vec<Element> value = load(pixel + v * Vec<Element>::kWidth);
#pragma GCC unroll 8
                for (int p = 0; p < PIXELS; ++p) {
                    if (i >= p * STRIDE && i < p * STRIDE + KERNEL) {
                        acc[p][v] = fma(value, w[i - p * STRIDE][v], acc[p][v]);
                    }
                }
            }
            pixel = next_address(pixel, in, i + 1 - LEFT, strip.input_ld);
        }
        weights += KERNEL * VECTORS * Vec<Element>::kWidth;
    }
    epilogue.activate_all(&acc[0][0], PIXELS * VECTORS);
    if (strip.residual != nullptr) {
        const Element* from = strip.residual;
#pragma GCC unroll 8
        for (int p = 0; p < PIXELS; ++p) {
#pragma GCC unroll 4
            for (int v = 0; v < VECTORS; ++v) {
                acc[p][v] = acc[p][v] + load(from + v * Vec<Element>::kWidth);
            }
            from = next_address(from, strip.residual, p + 1, strip.residual_ld);
        }
    }
    Element* to = strip.output;
#pragma GCC unroll 8
    for (int p = 0; p < PIXELS; ++p) {
#pragma GCC unroll 4
        for (int v = 0; v < VECTORS; ++v) {
            store(acc[p][v], to + v * Vec<Element>::kWidth);
        }
        to = next_address(to, strip.output, p + 1, strip.output_ld);
    }
}

/// The strip whose first output is (y, x), from a channel on that begins a group of as many vectors. LEFT
/// columns of the first window lie outside the image.
template <int KERNEL, int STRIDE, int LEFT>
inline Strip make_strip(const ConvView<Element>& args, const VecEpilogue& epilogue, const RowWindow& window,
                        size_t y, size_t x, size_t channel, size_t vectors) {
    const size_t pixel = y * args.output.width + x;
    const auto column = static_cast<ptrdiff_t>(x * STRIDE + LEFT) - KERNEL / 2;
    return {
        window.rows,
        window.end - window.first,
        column * static_cast<ptrdiff_t>(args.input.ld) + static_cast<ptrdiff_t>(channel),
        args.packed + (channel * KERNEL + window.first * vectors * Vec<Element>::kWidth) * KERNEL,
        epilogue.bias_values == nullptr ? kNoBias : epilogue.bias_values + channel,
        args.output.data + pixel * args.output.ld + channel,
        epilogue.residual == nullptr ? nullptr : epilogue.residual + pixel * epilogue.residual_ld + channel,
        args.input.ld,
        args.output.ld,
        epilogue.residual_ld};
}

/// PIXELS outputs beginning at x for the channels from c on. LEFT columns of the first window and RIGHT of
/// the last lie outside the image.
template <int KERNEL, int STRIDE, int PIXELS, int LEFT, int RIGHT>
void inner_pixels(const ConvView<Element>& args, const VecEpilogue& epilogue_, const RowWindow& window,
                  size_t y, size_t x, size_t c) {
    const VecEpilogue epilogue = epilogue_;
    constexpr int kGroup = kStripVectors<KERNEL>;
    const size_t channels = args.input.channels;
    const auto load = [](const Element* p) { return Vec<Element>::load(p); };
    const auto store = [](Vec<Element> v, Element* p) { v.store(p); };
    const auto strip_at = [&](int vectors) {
        return make_strip<KERNEL, STRIDE, LEFT>(args, epilogue, window, y, x, c,
                                                static_cast<size_t>(vectors));
    };
    for (Strip strip = strip_at(kGroup); c + kGroup * Vec<Element>::kWidth <= channels;
         c += kGroup * Vec<Element>::kWidth) {
        convolve_strip<KERNEL, STRIDE, PIXELS, LEFT, RIGHT, kGroup>(strip, epilogue, load, store);
        strip.advance(kGroup * Vec<Element>::kWidth, KERNEL * KERNEL);
    }
    if (c == channels) {
        return;
    }
    Strip strip = strip_at(1);  // what is left over is packed vector by vector
    for (; c + Vec<Element>::kWidth <= channels; c += Vec<Element>::kWidth) {
        convolve_strip<KERNEL, STRIDE, PIXELS, LEFT, RIGHT, 1>(strip, epilogue, load, store);
        strip.advance(Vec<Element>::kWidth, KERNEL * KERNEL);
    }
    if (c < channels) {
        const size_t count = channels - c;
        convolve_strip<KERNEL, STRIDE, PIXELS, LEFT, RIGHT, 1>(
            strip, epilogue, [count](const Element* p) { return Vec<Element>::load_first(p, count); },
            [count](Vec<Element> v, Element* p) { v.store_first(p, count); });
    }
}

/// One output whose window may reach over the borders; any kernel and stride.
void border_pixel(const ConvView<Element>& args, const VecEpilogue& epilogue, const RowWindow& window,
                  size_t y, size_t x) {
    const size_t pad = args.kernel / 2, left = x * args.stride;
    const size_t first = left < pad ? pad - left : 0,
                 end = smaller(args.kernel, args.input.width + pad - left);
    const size_t pixel = y * args.output.width + x;
    const Element* input = window.rows[0] + (left + first - pad) * args.input.ld;
    for (size_t c = 0; c < args.input.channels; c += Vec<Element>::kWidth) {
        const size_t count = args.input.channels - c;
        const PackedVector weights(args, c);
        Vec<Element> acc = epilogue.bias(c, count);
        const Element* row = input + c;
        for (size_t ky = window.first; ky < window.end; ++ky) {
            for (size_t kx = first; kx < end; ++kx) {
                const Vec<Element> w = Vec<Element>::load(weights.tap(ky * args.kernel + kx));
                acc = fma(Vec<Element>::load_up_to(row + (kx - first) * args.input.ld, count), w, acc);
            }
            row += args.input.width * args.input.ld;
        }
        epilogue.store(acc, args.output.data + pixel * args.output.ld + c, pixel, c, count);
    }
}

template <int KERNEL, int STRIDE, int PIXELS>
inline void inner_pixels_of(size_t pixels, const ConvView<Element>& args, const VecEpilogue& epilogue,
                            const RowWindow& window, size_t y, size_t x, size_t c) {
    if constexpr (PIXELS > 1) {
        if (pixels < PIXELS) {
            return inner_pixels_of<KERNEL, STRIDE, PIXELS - 1>(pixels, args, epilogue, window, y, x, c);
        }
    }
    inner_pixels<KERNEL, STRIDE, PIXELS, 0, 0>(args, epilogue, window, y, x, c);
}

/// Even strips, no thin one at the end: some of `low` + 1 outputs, then some of `low`.
struct EvenStrips {
    size_t low, high_count, low_count;

    EvenStrips(size_t width, size_t most) {
        const size_t strips = divide_up(width, most);
        low = width / strips;
        high_count = width - low * strips;
        low_count = strips - high_count;
    }
};

/// All whole groups of channels by assembly; returns how many channels that are.
template <int KERNEL, int STRIDE>
size_t assembled_row(const ConvView<Element>& args, const VecEpilogue& epilogue, const RowWindow& window,
                     size_t y, size_t x, const EvenStrips& strips) {
    constexpr size_t kVectors = kStripVectors<KERNEL>, kGroup = kVectors * Vec<Element>::kWidth;
    const size_t groups = args.input.channels / kGroup;
    if (groups > 0) {
        assembled_strips<KERNEL, STRIDE>(
            make_strip<KERNEL, STRIDE, 0>(args, epilogue, window, y, x, 0, kVectors), groups, strips.low,
            strips.high_count, strips.low_count, epilogue.activation);
    }
    return groups * kGroup;
}

/// The interior of a row whose window lies inside the image, one vector of channels after the other.
template <int KERNEL, int STRIDE>
void inner_row_by_vectors(const ConvView<Element>& args, const VecEpilogue& epilogue, const RowWindow& window,
                          size_t y, const Interior& interior) {
    VectorRow row;
    const auto first = static_cast<ptrdiff_t>(interior.begin * STRIDE) - KERNEL / 2;
    for (int ky = 0; ky < KERNEL; ++ky) {
        row.rows[ky] = window.rows[ky] + first * static_cast<ptrdiff_t>(args.input.ld);
    }
    row.input_ld = args.input.ld;
    row.weights = args.packed;
    row.output = args.output.data + (y * args.output.width + interior.begin) * args.output.ld;
    row.output_ld = args.output.ld;
    row.channels = args.input.channels;
    vector_row<KERNEL, STRIDE, kPixels<KERNEL>>(row, interior.end - interior.begin, epilogue);
}

template <int KERNEL, int STRIDE>
void inner_row(const ConvView<Element>& args, const VecEpilogue& epilogue, const RowWindow& window, size_t y,
               const Interior& interior) {
    if (interior.begin == interior.end) {
        return;
    }
    if constexpr (kByVectors) {
        if (window.end - window.first == KERNEL && epilogue.residual == nullptr) {
            return inner_row_by_vectors<KERNEL, STRIDE>(args, epilogue, window, y, interior);
        }
    }
    const EvenStrips strips(interior.end - interior.begin, kPixels<KERNEL>);
    size_t done = 0;
    if constexpr (kLeastAssembledPixels<KERNEL> > 0) {
        if (strips.low >= kLeastAssembledPixels<KERNEL> && epilogue.residual == nullptr &&
            only_limits(epilogue.activation)) {
            done = assembled_row<KERNEL, STRIDE>(args, epilogue, window, y, interior.begin, strips);
        }
    }
    size_t x = interior.begin;
    for (size_t i = 0; done < args.input.channels && x < interior.end; ++i) {
        const size_t pixels = strips.low + (i < strips.high_count ? 1 : 0);
        inner_pixels_of<KERNEL, STRIDE, kPixels<KERNEL>>(pixels, args, epilogue, window, y, x, done);
        x += pixels;
    }
}

/// A whole row of a map that has an interior, by strips at its ends of which some columns lie outside.
template <int KERNEL, int STRIDE>
void whole_row(const ConvView<Element>& args, const VecEpilogue& epilogue, const RowWindow& window, size_t y,
               const Interior& interior) {
    constexpr int kPad = KERNEL / 2, kEnd = (kPad + STRIDE - 1) / STRIDE;  // outputs at an end
    inner_pixels<KERNEL, STRIDE, kEnd, kPad, 0>(args, epilogue, window, y, 0, 0);
    inner_row<KERNEL, STRIDE>(args, epilogue, window, y, interior);
    if (interior.end == args.output.width) {
        return;
    }
    if constexpr (kPad > 1 && STRIDE > 1) {
        const size_t outside = (args.output.width - 1) * STRIDE + kPad + 1 - args.input.width;
        if (outside < kPad) {
            return inner_pixels<KERNEL, STRIDE, kEnd, 0, 1>(args, epilogue, window, y, interior.end, 0);
        }
    }
    inner_pixels<KERNEL, STRIDE, kEnd, 0, kPad>(args, epilogue, window, y, interior.end, 0);
}

/// Calls f(kernel, stride), as constants, if there is a loop made for them; false if there is none.
template <typename F>
inline bool with_loop(const ConvView<Element>& args, F&& f) {
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
inline bool inner_row_of(const ConvView<Element>& args, const VecEpilogue& epilogue, const RowWindow& window,
                         size_t y, const Interior& interior) {
    return with_loop(args, [&](auto kernel, auto stride) {
        inner_row<kernel.value, stride.value>(args, epilogue, window, y, interior);
    });
}

inline void depthwise_row(const ConvView<Element>& args, const VecEpilogue& epilogue,
                          const Interior& interior, const RowWindow& window, size_t y) {
    if (interior.begin < interior.end && with_loop(
                                             args,
                                             [&](auto kernel, auto stride) {
                                                 whole_row<kernel.value, stride.value>(args, epilogue, window,
                                                                                       y, interior);
                                             })) {
        return;
    }
    for (size_t x = 0; x < args.output.width; ++x) {
        border_pixel(args, epilogue, window, y, x);
    }
}

}  // namespace
}  // namespace mobileinst
