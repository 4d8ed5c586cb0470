#pragma once

#include "masks/run_length/run_length.h"
#include "simd/epilogue.h"
#include "simd/math.h"

namespace mobileinst {
namespace {

void run_length_above(const float* row, size_t width, float threshold, uint64_t* bits) {
    const Vec<float> limit = Vec<float>::fill(threshold);
    size_t i = 0;
    for (; i + Vec<float>::kWidth <= width; i += Vec<float>::kWidth) {  // kWidth divides 64
        bits[i / 64] |= static_cast<uint64_t>(lanes_above(Vec<float>::load(row + i), limit)) << (i % 64);
    }
    for (; i < width; ++i) {
        bits[i / 64] |= static_cast<uint64_t>(row[i] > threshold) << (i % 64);
    }
}

/// Products and sums are rounded one by one, not fused, to equal the plain evaluation of a pixel.
size_t crossings(const float corners[4], const float* weights, size_t begin, size_t end, float threshold,
                 Crossing* out) {
    const Vec<float> upper_left = Vec<float>::fill(corners[0]),
                     upper_step = Vec<float>::fill(corners[1] - corners[0]);
    const Vec<float> lower_left = Vec<float>::fill(corners[2]),
                     lower_step = Vec<float>::fill(corners[3] - corners[2]);
    const Vec<float> limit = Vec<float>::fill(threshold);
    size_t count = 0;
    for (size_t x = begin; x < end; x += Vec<float>::kWidth) {
        const size_t lanes = smaller(Vec<float>::kWidth, end - x);
        const Vec<float> weight = Vec<float>::load_up_to(weights + x, lanes);
        const Vec<float> upper = upper_left + upper_step * weight, lower = lower_left + lower_step * weight;
        uint32_t changed = (lanes_above(upper, limit) ^ lanes_above(lower, limit)) & ((1u << lanes) - 1u);
        if (changed == 0) {
            continue;
        }
        float fractions[Vec<float>::kWidth], uppers[Vec<float>::kWidth], lowers[Vec<float>::kWidth];
        divide(limit - upper, lower - upper).store(fractions);
        upper.store(uppers);
        lower.store(lowers);
        for (; changed != 0; changed &= changed - 1) {
            const auto lane = static_cast<uint32_t>(__builtin_ctz(changed));
            out[count++] = {static_cast<uint32_t>(x) + lane, fractions[lane], uppers[lane], lowers[lane]};
        }
    }
    return count;
}

void maskness_row(const float* row, size_t width, float threshold, double* sum, size_t* count) {
    const Vec<float> limit = Vec<float>::fill(threshold), quarter = Vec<float>::fill(0.25f);
    Vec<float> total = Vec<float>::zero();
    size_t found = 0;
    for (size_t i = 0; i < width; i += Vec<float>::kWidth) {
        const size_t lanes = smaller(Vec<float>::kWidth, width - i);
        const uint32_t valid = (1u << lanes) - 1u;
        const Vec<float> centre = Vec<float>::load_up_to(row + i, lanes);
        for (const float* neighbour : {row + i - 1, row + i + 1}) {
            const Vec<float> value = centre + (Vec<float>::load_up_to(neighbour, lanes) - centre) * quarter;
            const uint32_t mask = lanes_above(value, limit) & valid;
            if (mask != 0) {
                // lanes after the last are zero and may exceed a negative threshold: leave them out
                const Vec<float> probability = where_above(sigmoid(value), value, limit);
                float lanes_of[Vec<float>::kWidth] = {};
                if (lanes < Vec<float>::kWidth) {
                    probability.store_first(lanes_of, lanes);
                    total = total + Vec<float>::load(lanes_of);
                } else {
                    total = total + probability;
                }
                found += static_cast<size_t>(__builtin_popcount(mask));
            }
        }
    }
    *sum += static_cast<double>(sum_of_lanes(total));
    *count += found;
}

constexpr RunLengthKernels kRunLength = {run_length_above, crossings, maskness_row};

}  // namespace
}  // namespace mobileinst
