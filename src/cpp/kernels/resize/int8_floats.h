#pragma once

// Resizes of integers on vectors of floats, in which sums of bytes times shares are exact.

#include "kernels/resize/int8.h"
#include "simd/bytes.h"

namespace mobileinst {
namespace {

/// The first `count` of as many channels as a vector has; `local` is null unless something is added.
inline __attribute__((always_inline)) void resize_vector(const CornersInt8& corners, const ResizeInt8& to,
                                                         size_t channel, size_t count, const int8_t* local,
                                                         int8_t* y) {
    const auto at = [&](const int8_t* p) { return floats_of_bytes(p + channel, count); };
    const auto share = [&](size_t i) { return filled(static_cast<float>(corners.shares[i])); };
    Floats sum = fused(at(corners.top_left), share(0), filled(0.0f));
    sum = fused(at(corners.top_right), share(1), sum);
    sum = fused(at(corners.bottom_left), share(2), sum);
    sum = fused(at(corners.bottom_right), share(3), sum);
    const Floats shift = filled(to.shift);
    const Floats start = local == nullptr ? shift : fused(at(local), filled(to.local), shift);
    store_rounded(limited(fused(sum, filled(to.own), start), to.low, to.high), y + channel, count);
}

void resize_run_int8(const ResizeArgs& args, size_t begin, size_t end) {
    const size_t channels = args.output.channels;
    resize_pixels_int8(
        args, begin, end,
        [channels](const CornersInt8& corners, const ResizeInt8& to, const int8_t* local, int8_t* y) {
            size_t c = 0;
            for (; c + Sums::kWidth <= channels; c += Sums::kWidth) {
                resize_vector(corners, to, c, Sums::kWidth, local, y);
            }
            if (c < channels) {
                resize_vector(corners, to, c, channels - c, local, y);
            }
        });
}

constexpr ResizeKernels kResizeInt8 = {resize_run_int8};

}  // namespace
}  // namespace mobileinst
