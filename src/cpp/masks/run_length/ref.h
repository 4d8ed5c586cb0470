#pragma once

#include <cmath>

#include "core/interpolation.h"
#include "masks/run_length/run_length.h"

namespace mobileinst {
namespace {

void run_length_above_ref(const float* row, size_t width, float threshold, uint64_t* bits) {
    for (size_t i = 0; i < width; ++i) {
        if (row[i] > threshold) {
            bits[i / 64] |= uint64_t{1} << (i % 64);
        }
    }
}

size_t run_length_crossings_ref(const float corners[4], const float* weights, size_t begin, size_t end,
                                float threshold, Crossing* out) {
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

void run_length_maskness_row_ref(const float* row, size_t width, float threshold, double* sum,
                                 size_t* count) {
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

constexpr RunLengthKernels kRunLengthRef = {run_length_above_ref, run_length_crossings_ref,
                                            run_length_maskness_row_ref};

}  // namespace
}  // namespace mobileinst
