#pragma once

// Frames to inputs of bytes, in whole numbers, so that every tier gives the same: weights of the resize are
// multiples of a 128th, and sums are rounded once. Loops that compilers make vectors of.

#include "kernels/preprocess/preprocess.h"

namespace mobileinst {
namespace {

/// A weight of a resize as a multiple of a 128th.
inline int32_t fixed_weight(float weight) { return static_cast<int32_t>(weight * 128.0f + 0.5f); }

/// One row of the frame's width, its values times 128.
size_t preprocess_int8_scratch_size(const PreprocessArgs& args) { return args.frame_width * 3 * 2; }

inline void mix_rows_int8(const PreprocessArgs& args, const LinearTap& y, uint16_t* mixed) {
    const size_t count = args.frame_width * 3;
    const uint8_t* top = args.frame + y.low * count;
    const uint8_t* bottom = args.frame + y.high * count;
    const auto weight = static_cast<uint16_t>(fixed_weight(y.weight));
    const auto rest = static_cast<uint16_t>(128 - weight);
    for (size_t i = 0; i < count; ++i) {
        mixed[i] = static_cast<uint16_t>(top[i] * rest + bottom[i] * weight);
    }
}

/// Stores value - 128 of each color.
void preprocess_int8_run(const PreprocessArgs& args, size_t begin, size_t end, void* scratch) {
    auto* mixed = static_cast<uint16_t*>(scratch);
    const size_t first = args.bgr ? 2 : 0, last = 2 - first;
    for (size_t row = begin; row < end; ++row) {
        mix_rows_int8(args, linear_tap(row, args.frame_height, args.output.height), mixed);
        int8_t* output = static_cast<int8_t*>(args.output.data) + row * args.output.width * 3;
        for (size_t x = 0; x < args.output.width; ++x, output += 3) {
            const LinearTap& tap = args.columns[x];
            const uint16_t *left = mixed + tap.low * 3, *right = mixed + tap.high * 3;
            const int32_t weight = fixed_weight(tap.weight), rest = 128 - weight;
            const auto mix = [&](size_t c) {
                return static_cast<int8_t>(((left[c] * rest + right[c] * weight + (1 << 13)) >> 14) - 128);
            };
            output[0] = mix(first);
            output[1] = mix(1);
            output[2] = mix(last);
        }
    }
}

constexpr PreprocessKernels kPreprocessInt8 = {preprocess_int8_scratch_size, preprocess_int8_run};

}  // namespace
}  // namespace mobileinst
