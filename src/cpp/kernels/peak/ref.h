#pragma once

#include "kernels/peak/peak.h"

namespace mobileinst {
namespace {

constexpr size_t kPeakSumsRef = 12;

void peak_run_ref(size_t steps, const float* seeds, float* sum) {
    float s[kPeakSumsRef];
    for (size_t i = 0; i < kPeakSumsRef; ++i) {
        s[i] = static_cast<float>(i);
    }
    for (size_t step = 0; step < steps; ++step) {
        for (float& value : s) {
            value = value * seeds[0] + seeds[1];
        }
    }
    *sum = 0.0f;
    for (float value : s) {
        *sum += value;
    }
}

constexpr PeakKernels kPeakRef = {peak_run_ref, 2 * kPeakSumsRef};

}  // namespace
}  // namespace mobileinst
