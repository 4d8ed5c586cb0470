#pragma once

// Frames to inputs, with a Pixel that the instruction set's header defines.

#include "kernels/preprocess/preprocess.h"
#include "simd/epilogue.h"

namespace mobileinst {
namespace {

/// One row of the frame's width, and room for the fourth float of its last pixel.
size_t preprocess_scratch_size(const PreprocessArgs& args) {
    return (args.frame_width * 3 + 4) * sizeof(float);
}

/// Mixes the two frame rows of an output row into `mixed`.
template <typename Pixel>
void mix_rows(const PreprocessArgs& args, const LinearTap& y, float* mixed) {
    const size_t count = args.frame_width * 3;
    const uint8_t* top = args.frame + y.low * count;
    const uint8_t* bottom = args.frame + y.high * count;
    const Vec<float> weight = Vec<float>::fill(y.weight);
    size_t i = 0;
    for (; i + Vec<float>::kWidth <= count; i += Vec<float>::kWidth) {
        const Vec<float> a = Pixel::load_bytes(top + i), b = Pixel::load_bytes(bottom + i);
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

template <typename Pixel, bool kBgr>
void preprocess_rows(const PreprocessArgs& args, size_t begin, size_t end, float* mixed) {
    float scales[4] = {}, shifts[4] = {};
    for (size_t c = 0; c < 3; ++c) {
        scales[c] = args.inverse_std[c];
        shifts[c] = -args.mean[c] * args.inverse_std[c];
    }
    const Pixel scale = Pixel::load(scales), shift = Pixel::load(shifts);
    for (size_t row = begin; row < end; ++row) {
        mix_rows<Pixel>(args, linear_tap(row, args.frame_height, args.output.height), mixed);
        float* output = static_cast<float*>(args.output.data) + row * args.output.width * 3;
        for (size_t x = 0; x < args.output.width; ++x) {
            const LinearTap& tap = args.columns[x];
            Pixel value =
                Pixel::mix(Pixel::load(mixed + tap.low * 3), Pixel::load(mixed + tap.high * 3), tap.weight);
            if constexpr (kBgr) {
                value = value.reversed();
            }
            value = Pixel::scaled(value, scale, shift);
            if (x + 1 < args.output.width) {
                value.store(output + x * 3);  // the fourth float is overwritten by the next pixel
            } else {
                value.store_three(output + x * 3);  // the next row may be another thread's
            }
        }
    }
}

template <typename Pixel>
void preprocess_run(const PreprocessArgs& args, size_t begin, size_t end, void* scratch) {
    float* mixed = static_cast<float*>(scratch);
    if (args.bgr) {
        preprocess_rows<Pixel, true>(args, begin, end, mixed);
    } else {
        preprocess_rows<Pixel, false>(args, begin, end, mixed);
    }
}

}  // namespace
}  // namespace mobileinst
