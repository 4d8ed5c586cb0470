#pragma once

// Resizes of integers: what all tiers share, and the plain kernel.

#include <cmath>
#include <cstdint>

#include "core/interpolation.h"
#include "kernels/convert/loops.h"
#include "kernels/resize/resize.h"

namespace mobileinst {
namespace {

/// What the shares of an output pixel's corners sum up to: those of twice or half the size are exact.
constexpr int kWholeShare = 128;

/// A resize R of integers x, to which integers l of a local map may be added, with the quantisations' scales
/// and zeros: y = s * own + (l * local + shift), s being the whole sum of the corners times their shares,
/// each product and sum rounded once, within [low, high], which integers of 8 bits hold, and rounded.
struct ResizeInt8 {
    float own, local = 0.0f, shift, low, high;

    explicit ResizeInt8(const ResizeArgs& args) {
        const Quantisation x = args.input.quantisation, y = args.output.quantisation;
        const auto zero = static_cast<float>(y.zero);
        const float factor = x.scale / y.scale;
        own = factor / static_cast<float>(kWholeShare);
        shift = zero - static_cast<float>(x.zero) * factor;
        if (args.local.data != nullptr) {
            local = args.local.quantisation.scale / y.scale;
            shift -= static_cast<float>(args.local.quantisation.zero) * local;
        }
        constexpr float kLeast = -128.0f, kMost = 127.0f;
        low = args.activation == Activation::None || zero < kLeast ? kLeast : zero;
        const float six = 6.0f / y.scale + zero;
        high = args.activation == Activation::Relu6 && six < kMost ? six : kMost;
    }
};

/// The corners that an output pixel reads, and their shares: rounded first between rows, then within these.
struct CornersInt8 {
    const int8_t *top_left, *top_right, *bottom_left, *bottom_right;
    uint8_t shares[4];  ///< in that order

    CornersInt8(const Map<const int8_t>& map, const LinearTap& y, const LinearTap& x)
        : top_left(map.pixel(y.low * map.width + x.low)),
          top_right(map.pixel(y.low * map.width + x.high)),
          bottom_left(map.pixel(y.high * map.width + x.low)),
          bottom_right(map.pixel(y.high * map.width + x.high)) {
        const auto part = [](int whole, float weight) {
            return static_cast<int>(static_cast<float>(whole) * weight + 0.5f);
        };
        const int below = part(kWholeShare, y.weight), above = kWholeShare - below;
        const int above_right = part(above, x.weight), below_right = part(below, x.weight);
        const int all[] = {above - above_right, above_right, below - below_right, below_right};
        for (int i = 0; i < 4; ++i) {
            shares[i] = static_cast<uint8_t>(all[i]);
        }
    }

    int32_t sum(size_t channel) const {
        return top_left[channel] * shares[0] + top_right[channel] * shares[1] +
               bottom_left[channel] * shares[2] + bottom_right[channel] * shares[3];
    }
};

/// Calls pixel(corners, parameters, local, y) for each of output rows [begin, end); `local` may be null, and
/// may be y.
template <typename Pixel>
inline void resize_pixels_int8(const ResizeArgs& args, size_t begin, size_t end, const Pixel& pixel) {
    const Map<const int8_t> input(args.input), local(args.local);
    const Map<int8_t> output(args.output);
    const ResizeInt8 to(args);
    for (size_t row = begin; row < end; ++row) {
        const LinearTap y = linear_tap(row, input.height, output.height);
        for (size_t column = 0; column < output.width; ++column) {
            const CornersInt8 corners(input, y, linear_tap(column, input.width, output.width));
            const size_t place = row * output.width + column;
            pixel(corners, to, local.data == nullptr ? nullptr : local.pixel(place), output.pixel(place));
        }
    }
}

void resize_run_int8_ref(const ResizeArgs& args, size_t begin, size_t end) {
    const size_t channels = args.output.channels;
    resize_pixels_int8(
        args, begin, end,
        [channels](const CornersInt8& corners, const ResizeInt8& to, const int8_t* local, int8_t* y) {
            for (size_t c = 0; c < channels; ++c) {
                const float added =
                    local == nullptr ? to.shift : std::fma(static_cast<float>(local[c]), to.local, to.shift);
                float v = std::fma(static_cast<float>(corners.sum(c)), to.own, added);
                v = v > to.low ? v : to.low;
                v = v < to.high ? v : to.high;
                y[c] = round_to_int8(v);
            }
        });
}

constexpr ResizeKernels kResizeInt8Ref = {resize_run_int8_ref};

}  // namespace
}  // namespace mobileinst
