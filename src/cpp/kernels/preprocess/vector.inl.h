#pragma once

// Include after core/simd_*.h and a definition of Pixel, four floats of which three are a pixel's colours,
// and of load_bytes(), Vec::kWidth bytes as floats.

#include "core/finish.inl.h"
#include "kernels/preprocess/preprocess.h"

namespace mobileinst {
namespace {

/// One row of the frame's width, and room for the fourth float of its last pixel.
size_t scratch_size(const PreprocessArgs& args) { return args.frame_width * 3 + 4; }

/// Mixes the two frame rows of an output row into `mixed`.
void mix_rows(const PreprocessArgs& args, const LinearTap& y, float* mixed) {
    const size_t count = args.frame_width * 3;
    const uint8_t* top = args.frame + y.low * count;
    const uint8_t* bottom = args.frame + y.high * count;
    const Vec weight = Vec::fill(y.weight);
    size_t i = 0;
    for (; i + Vec::kWidth <= count; i += Vec::kWidth) {
        const Vec a = load_bytes(top + i), b = load_bytes(bottom + i);
        fma(b - a, weight, a).store(mixed + i);
    }
    for (; i < count; ++i) {
        const float a = top[i], b = bottom[i];
        mixed[i] = a + (b - a) * y.weight;
    }
    for (size_t pad = 0; pad < 4; ++pad) {
        mixed[count + pad] = 0.0f;
    }
}

template <bool kBgr>
void run_rows(const PreprocessArgs& args, size_t begin, size_t end, float* mixed) {
    float scales[4] = {}, shifts[4] = {};
    for (size_t c = 0; c < 3; ++c) {
        scales[c] = args.inverse_std[c];
        shifts[c] = -args.mean[c] * args.inverse_std[c];
    }
    const Pixel scale = Pixel::load(scales), shift = Pixel::load(shifts);
    for (size_t row = begin; row < end; ++row) {
        mix_rows(args, linear_tap(row, args.frame_height, args.height), mixed);
        float* output = args.output + row * args.width * 3;
        for (size_t x = 0; x < args.width; ++x) {
            const LinearTap& tap = args.columns[x];
            Pixel value =
                Pixel::mix(Pixel::load(mixed + tap.low * 3), Pixel::load(mixed + tap.high * 3), tap.weight);
            if constexpr (kBgr) {
                value = value.reversed();
            }
            value = Pixel::scaled(value, scale, shift);
            if (x + 1 < args.width) {
                value.store(output + x * 3);  // the fourth float is overwritten by the next pixel
            } else {
                value.store_three(output + x * 3);  // the next row may be another thread's
            }
        }
    }
}

void run(const PreprocessArgs& args, size_t begin, size_t end, float* scratch) {
    if (args.bgr) {
        run_rows<true>(args, begin, end, scratch);
    } else {
        run_rows<false>(args, begin, end, scratch);
    }
}

}  // namespace
}  // namespace mobileinst
