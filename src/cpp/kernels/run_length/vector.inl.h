#pragma once

#include "core/finish.inl.h"
#include "core/simd_math.inl.h"
#include "kernels/run_length/run_length.h"

namespace mobileinst {
namespace {

void above(const float* row, size_t width, float threshold, uint64_t* bits) {
    const Vec limit = Vec::fill(threshold);
    size_t i = 0;
    for (; i + Vec::kWidth <= width; i += Vec::kWidth) {  // kWidth divides 64
        bits[i / 64] |= static_cast<uint64_t>(lanes_above(Vec::load(row + i), limit)) << (i % 64);
    }
    for (; i < width; ++i) {
        bits[i / 64] |= static_cast<uint64_t>(row[i] > threshold) << (i % 64);
    }
}

/// Products and sums are rounded one by one, not fused, to equal the plain evaluation of a pixel.
size_t crossings(const float corners[4], const float* weights, size_t begin, size_t end, float threshold,
                 Crossing* out) {
    const Vec upper_left = Vec::fill(corners[0]), upper_step = Vec::fill(corners[1] - corners[0]);
    const Vec lower_left = Vec::fill(corners[2]), lower_step = Vec::fill(corners[3] - corners[2]);
    const Vec limit = Vec::fill(threshold);
    size_t count = 0;
    for (size_t x = begin; x < end; x += Vec::kWidth) {
        const size_t lanes = smaller(Vec::kWidth, end - x);
        const Vec weight = Vec::load_up_to(weights + x, lanes);
        const Vec upper = upper_left + upper_step * weight, lower = lower_left + lower_step * weight;
        uint32_t changed = (lanes_above(upper, limit) ^ lanes_above(lower, limit)) & ((1u << lanes) - 1u);
        if (changed == 0) {
            continue;
        }
        float fractions[Vec::kWidth], uppers[Vec::kWidth], lowers[Vec::kWidth];
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
    const Vec limit = Vec::fill(threshold), quarter = Vec::fill(0.25f);
    Vec total = Vec::zero();
    size_t found = 0;
    for (size_t i = 0; i < width; i += Vec::kWidth) {
        const size_t lanes = smaller(Vec::kWidth, width - i);
        const uint32_t valid = (1u << lanes) - 1u;
        const Vec centre = Vec::load_up_to(row + i, lanes);
        for (const float* neighbour : {row + i - 1, row + i + 1}) {
            const Vec value = centre + (Vec::load_up_to(neighbour, lanes) - centre) * quarter;
            const uint32_t mask = lanes_above(value, limit) & valid;
            if (mask != 0) {
                // lanes after the last are zero and may exceed a negative threshold: leave them out
                const Vec probability = where_above(sigmoid(value), value, limit);
                float lanes_of[Vec::kWidth] = {};
                if (lanes < Vec::kWidth) {
                    probability.store_first(lanes_of, lanes);
                    total = total + Vec::load(lanes_of);
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

}  // namespace
}  // namespace mobileinst
