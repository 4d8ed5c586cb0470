#pragma once

#include "core/interpolation.h"
#include "kernels/resize/resize.h"
#include "simd/epilogue.h"

namespace mobileinst {
namespace {

/// NEON's 32 registers hold the values of four vectors of channels, the 16 of SSE and AVX2 do not.
constexpr bool kManyRegisters = kVecTier == Tier::Neon;

enum class ResizeMode { Plain, Add, MultiplyAdd };

/// ResizeArgs of elements.
struct ResizeView {
    Map<const Element> input, shift, local;
    Map<Element> output;

    explicit ResizeView(const ResizeArgs& args)
        : input(args.input), shift(args.shift), local(args.local), output(args.output) {}
};

/// The shares of the four pixels that an output pixel reads.
struct Shares {
    Vec<Element> top_left, top_right, bottom_left, bottom_right;

    Shares(const LinearTap& y, const LinearTap& x)
        : top_left(Vec<Element>::fill((1 - y.weight) * (1 - x.weight))),
          top_right(Vec<Element>::fill((1 - y.weight) * x.weight)),
          bottom_left(Vec<Element>::fill(y.weight * (1 - x.weight))),
          bottom_right(Vec<Element>::fill(y.weight * x.weight)) {}
};

/// The four pixels that an output pixel reads.
struct Corners {
    const Element *top_left, *top_right, *bottom_left, *bottom_right;

    Corners(const Map<const Element>& map, const LinearTap& y, const LinearTap& x)
        : top_left(map.pixel(y.low * map.width + x.low)),
          top_right(map.pixel(y.low * map.width + x.high)),
          bottom_left(map.pixel(y.high * map.width + x.low)),
          bottom_right(map.pixel(y.high * map.width + x.high)) {}

    Vec<Element> mix(const Shares& shares, size_t channel, size_t count) const {
        return mix_others(shares, channel, count,
                          Vec<Element>::load_up_to(top_left + channel, count) * shares.top_left);
    }

    /// The same added to `start`.
    Vec<Element> mix(const Shares& shares, size_t channel, size_t count, Vec<Element> start) const {
        return mix_others(shares, channel, count,
                          fma(Vec<Element>::load_up_to(top_left + channel, count), shares.top_left, start));
    }

  private:
    Vec<Element> mix_others(const Shares& shares, size_t channel, size_t count, Vec<Element> sum) const {
        sum = fma(Vec<Element>::load_up_to(top_right + channel, count), shares.top_right, sum);
        sum = fma(Vec<Element>::load_up_to(bottom_left + channel, count), shares.bottom_left, sum);
        return fma(Vec<Element>::load_up_to(bottom_right + channel, count), shares.bottom_right, sum);
    }
};

/// One output pixel.
template <ResizeMode kMode>
struct ResizedPixel {
    Corners input, shift;
    Shares shares;
    const Element* local;
    Element* output;

    ResizedPixel(const ResizeView& args, const LinearTap& y, const LinearTap& x, size_t pixel)
        : input(args.input, y, x),
          shift(kMode == ResizeMode::MultiplyAdd ? args.shift : args.input, y, x),
          shares(y, x),
          local(kMode == ResizeMode::Plain ? nullptr : args.local.pixel(pixel)),
          output(args.output.pixel(pixel)) {}

    /// VECTORS vectors from channel c on, each of the first `count` elements.
    template <int VECTORS>
    inline __attribute__((always_inline)) void run(const VecEpilogue& epilogue, size_t c,
                                                   size_t count) const {
        Vec<Element> v[VECTORS];
#pragma GCC unroll 4
        for (int i = 0; i < VECTORS; ++i) {
            const size_t channel = c + i * Vec<Element>::kWidth;
            if constexpr (kMode == ResizeMode::Add) {
                v[i] = input.mix(shares, channel, count, Vec<Element>::load_up_to(local + channel, count));
            } else {
                v[i] = input.mix(shares, channel, count);
            }
            if constexpr (kMode == ResizeMode::MultiplyAdd) {
                v[i] = fma(v[i], Vec<Element>::load_up_to(local + channel, count),
                           shift.mix(shares, channel, count));
            }
        }
        epilogue.activate_all(v, VECTORS);
#pragma GCC unroll 4
        for (int i = 0; i < VECTORS; ++i) {
            v[i].store_up_to(output + c + i * Vec<Element>::kWidth, count);
        }
    }
};

template <ResizeMode kMode>
void resize_pixel(const ResizeView& args, const VecEpilogue& epilogue, const LinearTap& y, const LinearTap& x,
                  size_t pixel) {
    const ResizedPixel<kMode> resized(args, y, x, pixel);
    size_t c = 0;
    if constexpr (kManyRegisters) {
        for (; c + 4 * Vec<Element>::kWidth <= args.output.channels; c += 4 * Vec<Element>::kWidth) {
            resized.template run<4>(epilogue, c, Vec<Element>::kWidth);
        }
    }
    for (; c + Vec<Element>::kWidth <= args.output.channels; c += Vec<Element>::kWidth) {
        resized.template run<1>(epilogue, c, Vec<Element>::kWidth);
    }
    if (c < args.output.channels) {
        resized.template run<1>(epilogue, c, args.output.channels - c);
    }
}

template <ResizeMode kMode>
void resize_rows(const ResizeArgs& args_, size_t begin, size_t end) {
    const ResizeView args(args_);
    const VecEpilogue epilogue(args_.activation);
    for (size_t row = begin; row < end; ++row) {
        const LinearTap y = linear_tap(row, args.input.height, args.output.height);
        for (size_t column = 0; column < args.output.width; ++column) {
            const LinearTap x = linear_tap(column, args.input.width, args.output.width);
            resize_pixel<kMode>(args, epilogue, y, x, row * args.output.width + column);
        }
    }
}

void resize_run(const ResizeArgs& args, size_t begin, size_t end) {
    if (args.local.data == nullptr) {
        resize_rows<ResizeMode::Plain>(args, begin, end);
    } else if (args.shift.data == nullptr) {
        resize_rows<ResizeMode::Add>(args, begin, end);
    } else {
        resize_rows<ResizeMode::MultiplyAdd>(args, begin, end);
    }
}

constexpr ResizeKernels kResize = {resize_run};

}  // namespace
}  // namespace mobileinst
