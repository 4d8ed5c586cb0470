#pragma once

#include "kernels/peak/peak.h"
#include "simd/vec.h"

namespace mobileinst {
namespace {

/// Enough independent sums to hide four cycles of latency on two pipes, and few enough for 16 registers.
constexpr size_t kPeakSums = 12;

void peak_run(size_t steps, const float* seeds, float* sum) {
    const Vec<float> factor = Vec<float>::broadcast(seeds);
    const Vec<float> term = Vec<float>::broadcast(seeds + 1);
    Vec<float> s[kPeakSums];
    for (size_t i = 0; i < kPeakSums; ++i) {
        s[i] = Vec<float>::fill(static_cast<float>(i));
    }
    for (size_t step = 0; step < steps; ++step) {
        for (size_t i = 0; i < kPeakSums; ++i) {
            s[i] = fma(s[i], factor, term);
        }
    }
    for (size_t i = 1; i < kPeakSums; ++i) {
        s[0] = s[0] + s[i];
    }
    float lanes[Vec<float>::kWidth];
    s[0].store(lanes);
    *sum = lanes[0];
}

constexpr size_t kPeakOperations = 2 * kPeakSums * Vec<float>::kWidth;

constexpr PeakKernels kPeak = {peak_run, kPeakOperations};

}  // namespace
}  // namespace mobileinst
