#pragma once

// A row of depthwise outputs, one vector of channels after the other: what is the same for all its pixels is
// prepared once, and not for every few of them.

#include "kernels/convolution/view.h"
#include "simd/epilogue.h"

namespace mobileinst {
namespace {

constexpr size_t kLargestKernel = 5;  // that has loops of its own

/// Outputs of a row whose windows lie inside the image; no residual.
struct VectorRow {
    const Element* rows[kLargestKernel];  // first tap of the first output, in each row of the window
    size_t input_ld;
    const Element* weights;
    Element* output;  // the first
    size_t output_ld;
    size_t channels;
};

/// PIXELS outputs from `pixel` on, of the vector of channels at c.
template <int KERNEL, int STRIDE, int PIXELS, typename Load, typename Store>
inline __attribute__((always_inline)) void convolve_pixels(const VectorRow& row, size_t pixel, size_t c,
                                                           Vec<Element> bias, const VecEpilogue& epilogue,
                                                           Load&& load, Store&& store) {
    constexpr int kInputs = (PIXELS - 1) * STRIDE + KERNEL;
    Vec<Element> acc[PIXELS];
#pragma GCC unroll 8
    for (int p = 0; p < PIXELS; ++p) {
        acc[p] = bias;
    }
    const Element* weights = row.weights + c * KERNEL * KERNEL;
#pragma GCC unroll 8
    for (int ky = 0; ky < KERNEL; ++ky) {
        Vec<Element> w[KERNEL];
#pragma GCC unroll 8
        for (int kx = 0; kx < KERNEL; ++kx) {
            w[kx] = in_register(Vec<Element>::load(weights + (ky * KERNEL + kx) * Vec<Element>::kWidth));
        }
        const Element* in = row.rows[ky] + pixel * STRIDE * row.input_ld + c;
#pragma GCC unroll 16
        for (int i = 0; i < kInputs; ++i) {
            const Vec<Element> value = in_register(load(in));
            in += row.input_ld;
#pragma GCC unroll 8
            for (int p = 0; p < PIXELS; ++p) {
                if (i >= p * STRIDE && i < p * STRIDE + KERNEL) {
                    acc[p] = fma(value, w[i - p * STRIDE], acc[p]);
                }
            }
        }
    }
    epilogue.activate_all(acc, PIXELS);
    Element* to = row.output + pixel * row.output_ld + c;
#pragma GCC unroll 8
    for (int p = 0; p < PIXELS; ++p) {
        store(acc[p], to);
        to += row.output_ld;
    }
}

/// Outputs [pixel, end), a multiple of PIXELS.
template <int KERNEL, int STRIDE, int PIXELS>
__attribute__((noinline)) void convolve_row(const VectorRow& row_, size_t pixel, size_t end,
                                            const VecEpilogue& epilogue_) {
    // Copies, which no store through a pointer can change.
    const VectorRow row = row_;
    const VecEpilogue epilogue = epilogue_;
    size_t c = 0;
    for (; c + Vec<Element>::kWidth <= row.channels; c += Vec<Element>::kWidth) {
        const Vec<Element> bias = epilogue.bias(c, Vec<Element>::kWidth);
        for (size_t p = pixel; p < end; p += PIXELS) {
            convolve_pixels<KERNEL, STRIDE, PIXELS>(
                row, p, c, bias, epilogue, [](const Element* from) { return Vec<Element>::load(from); },
                [](Vec<Element> v, Element* to) { v.store(to); });
        }
    }
    if (c < row.channels) {
        const size_t count = row.channels - c;
        const Vec<Element> bias = epilogue.bias(c, count);
        for (size_t p = pixel; p < end; p += PIXELS) {
            convolve_pixels<KERNEL, STRIDE, PIXELS>(
                row, p, c, bias, epilogue,
                [count](const Element* from) { return Vec<Element>::load_first(from, count); },
                [count](Vec<Element> v, Element* to) { v.store_first(to, count); });
        }
    }
}

template <int KERNEL, int STRIDE, int PIXELS>
inline void convolve_row_of(size_t pixels, const VectorRow& row, size_t begin, size_t end,
                            const VecEpilogue& epilogue) {
    if constexpr (PIXELS > 1) {
        if (pixels < PIXELS) {
            return convolve_row_of<KERNEL, STRIDE, PIXELS - 1>(pixels, row, begin, end, epilogue);
        }
    }
    convolve_row<KERNEL, STRIDE, PIXELS>(row, begin, end, epilogue);
}

/// Outputs [0, pixels), PIXELS at a time at most: even steps, no thin one at the end.
template <int KERNEL, int STRIDE, int PIXELS>
void vector_row(const VectorRow& row, size_t pixels, const VecEpilogue& epilogue) {
    const size_t steps = divide_up(pixels, PIXELS), low = pixels / steps, high_steps = pixels - low * steps;
    const size_t done = high_steps * (low + 1);
    if (high_steps > 0) {
        convolve_row_of<KERNEL, STRIDE, PIXELS>(low + 1, row, 0, done, epilogue);
    }
    convolve_row_of<KERNEL, STRIDE, PIXELS>(low, row, done, pixels, epilogue);
}

}  // namespace
}  // namespace mobileinst
