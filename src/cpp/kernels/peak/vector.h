#pragma once

#include "kernels/peak/peak.h"
#include "simd/vec.h"

namespace mobileinst {
namespace {

/// Enough independent sums to hide four cycles of latency on two pipes, and few enough for 16 registers.
constexpr size_t kPeakSums = 12;

void peak_run(size_t steps, const float* seeds, float* sum) {
    const Vec<Element> factor = Vec<Element>::fill(seeds[0]), term = Vec<Element>::fill(seeds[1]);
    Vec<Element> s[kPeakSums];
    for (size_t i = 0; i < kPeakSums; ++i) {
        s[i] = Vec<Element>::fill(static_cast<float>(i));
    }
    for (size_t step = 0; step < steps; ++step) {
        for (size_t i = 0; i < kPeakSums; ++i) {
            s[i] = fma(s[i], factor, term);
        }
    }
    for (size_t i = 1; i < kPeakSums; ++i) {
        s[0] = s[0] + s[i];
    }
    Element lanes[Vec<Element>::kWidth];
    s[0].store(lanes);
    *sum = static_cast<float>(lanes[0]);
}

constexpr size_t kPeakOperations = 2 * kPeakSums * Vec<Element>::kWidth;

constexpr PeakKernels kPeak = {peak_run, kPeakOperations};

}  // namespace
}  // namespace mobileinst
