#pragma once

// Resizes of integers on AVX-512 with VNNI: the four corners of a channel lie side by side, and one
// instruction multiplies them with their shares. Bytes are brought there and back within lanes of 16.

#include "kernels/resize/int8.h"
#include "simd/bytes.h"

namespace mobileinst {
namespace {

/// Four vectors of bytes: of each lane of 16 the first four channels of all in the first, and so on.
struct SideBySide {
    Bytes of[4];

    SideBySide(Bytes a, Bytes b, Bytes c, Bytes d) {
        const auto low = [](__m512i x, __m512i y) { return _mm512_maskz_unpacklo_epi8(~0ull, x, y); };
        const auto high = [](__m512i x, __m512i y) { return _mm512_maskz_unpackhi_epi8(~0ull, x, y); };
        const __m512i ab = low(a.v, b.v), cd = low(c.v, d.v), ab_high = high(a.v, b.v),
                      cd_high = high(c.v, d.v);
        of[0] = {_mm512_maskz_unpacklo_epi16(~0u, ab, cd)};
        of[1] = {_mm512_maskz_unpackhi_epi16(~0u, ab, cd)};
        of[2] = {_mm512_maskz_unpacklo_epi16(~0u, ab_high, cd_high)};
        of[3] = {_mm512_maskz_unpackhi_epi16(~0u, ab_high, cd_high)};
    }

    /// The sums of vector i times four factors.
    inline __attribute__((always_inline)) Sums sums(size_t i, Bytes factors) const {
        return dot(Sums::zero(), factors, of[i]);
    }
};

/// The first `count` of 64 channels from p on.
inline __attribute__((always_inline)) Bytes load_first(const int8_t* p, size_t count) {
    return count >= Bytes::kWidth ? Bytes::load(p) : Bytes{_mm512_maskz_loadu_epi8(first_bytes(count), p)};
}

/// `count` of up to 64 channels of a pixel, `local` being null unless something is added.
inline __attribute__((always_inline)) void resize_bytes(const CornersInt8& corners, const ResizeInt8& to,
                                                        size_t channel, size_t count, const int8_t* local,
                                                        int8_t* y) {
    const Bytes shares = Bytes::broadcast(corners.shares), one{_mm512_set1_epi32(1)};
    const auto at = [&](const int8_t* p) { return load_first(p + channel, count); };
    const SideBySide seen(at(corners.top_left), at(corners.top_right), at(corners.bottom_left),
                          at(corners.bottom_right));
    const Bytes l = local == nullptr ? Bytes{_mm512_setzero_si512()} : at(local);
    const SideBySide added(l, l, l, l);
    const Floats own = filled(to.own), shift = filled(to.shift), factor = filled(to.local);
    Floats v[4];
#pragma GCC unroll 4
    for (size_t i = 0; i < 4; ++i) {
        const Floats start = local == nullptr ? shift : scaled(added.sums(i, one), factor, shift);
        v[i] = limited(scaled(seen.sums(i, shares), own, start), to.low, to.high);
    }
    rounded(v).store_first(y + channel, count);
}

void resize_run_int8(const ResizeArgs& args, size_t begin, size_t end) {
    const size_t channels = args.output.channels;
    resize_pixels_int8(
        args, begin, end,
        [channels](const CornersInt8& corners, const ResizeInt8& to, const int8_t* local, int8_t* y) {
            size_t c = 0;
            for (; c + Bytes::kWidth <= channels; c += Bytes::kWidth) {
                resize_bytes(corners, to, c, Bytes::kWidth, local, y);
            }
            if (c < channels) {
                resize_bytes(corners, to, c, channels - c, local, y);
            }
        });
}

constexpr ResizeKernels kResizeInt8 = {resize_run_int8};

}  // namespace
}  // namespace mobileinst
