#pragma once

// Products of bytes, or of the 16-bit integers that tiers copy them as.

#include "kernels/peak/peak.h"
#include "simd/bytes.h"

namespace mobileinst {
namespace {

/// As those of floats: enough independent sums to hide the latency. Of products of 16 bits it is an
/// addition's, and each is in a register before it is added.
constexpr size_t kPeakSumsInt8 = sizeof(CopiedByte) == 1 ? 12 : 6;

void peak_run_int8(size_t steps, const float* seeds, float* sum) {
    int8_t factors[2][Bytes::kWidth];
    for (size_t i = 0; i < Bytes::kWidth; ++i) {
        factors[0][i] = static_cast<int8_t>(2.0f * seeds[0] + static_cast<float>(i));
        factors[1][i] = static_cast<int8_t>(2.0f * seeds[1] - static_cast<float>(i));
    }
    Bytes values = Bytes::load(factors[0]);
    const Bytes weights = Bytes::load(factors[1]);
    int32_t lanes[Bytes::kWidth / 4] = {};
    Sums s[kPeakSumsInt8];
    for (size_t i = 0; i < kPeakSumsInt8; ++i) {
        lanes[0] = static_cast<int32_t>(i);
        s[i] = Sums::load(lanes);
    }
    for (size_t step = 0; step < steps; ++step) {
        for (Sums& one : s) {
            renew(values);  // lest products are computed once
            one = dot(one, values, weights);
        }
    }
    *sum = 0.0f;
    for (const Sums& one : s) {
        one.store(lanes);
        *sum += static_cast<float>(lanes[0]);
    }
}

constexpr PeakKernels kPeakInt8 = {peak_run_int8, 2 * kPeakSumsInt8 * Bytes::kWidth / sizeof(CopiedByte)};

}  // namespace
}  // namespace mobileinst
