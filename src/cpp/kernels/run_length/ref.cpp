#include <cmath>

#include "core/interpolation.h"
#include "kernels/run_length/run_length.h"

namespace mobileinst {
namespace {

void above(const float* row, size_t width, float threshold, uint64_t* bits) {
    for (size_t i = 0; i < width; ++i) {
        if (row[i] > threshold) {
            bits[i / 64] |= uint64_t{1} << (i % 64);
        }
    }
}

size_t crossings(const float corners[4], const float* weights, size_t begin, size_t end, float threshold,
                 Crossing* out) {
    size_t count = 0;
    for (size_t x = begin; x < end; ++x) {
        const float upper = corners[0] + (corners[1] - corners[0]) * weights[x];
        const float lower = corners[2] + (corners[3] - corners[2]) * weights[x];
        if ((upper > threshold) != (lower > threshold)) {
            out[count++] = {static_cast<uint32_t>(x), (threshold - upper) / (lower - upper), upper, lower};
        }
    }
    return count;
}

void maskness_row(const float* row, size_t width, float threshold, double* sum, size_t* count) {
    for (size_t i = 0; i < width; ++i) {
        for (const float neighbour : {row[i - 1], row[i + 1]}) {  // row[-1] is the caller's padding
            const float value = row[i] + (neighbour - row[i]) * 0.25f;
            if (value > threshold) {
                *sum += 1.0 / (1.0 + std::exp(-static_cast<double>(value)));
                ++*count;
            }
        }
    }
}

}  // namespace

const RunLengthKernels run_length_f32_ref = {above, crossings, maskness_row};

Runs run_lengths_dense(const LogitsMask& mask) {
    Runs runs;
    uint32_t run = 0;
    bool inside = false;
    for (size_t x = 0; x < mask.out_width; ++x) {
        const LinearTap column = linear_tap(x, mask.width, mask.out_width);
        for (size_t y = 0; y < mask.out_height; ++y) {
            const LinearTap row = linear_tap(y, mask.height, mask.out_height);
            const float* top = mask.logits + row.low * mask.width;
            const float* bottom = mask.logits + row.high * mask.width;
            const float upper = top[column.low] + (top[column.high] - top[column.low]) * column.weight;
            const float lower =
                bottom[column.low] + (bottom[column.high] - bottom[column.low]) * column.weight;
            const bool now = upper + (lower - upper) * row.weight > mask.threshold;
            if (now != inside) {
                runs.push_back(run);
                run = 0;
                inside = now;
            }
            ++run;
        }
    }
    runs.push_back(run);
    return runs;
}

}  // namespace mobileinst
