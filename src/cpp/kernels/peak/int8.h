#pragma once

// Products of bytes; the including file is compiled for a tier that has a dot product of them.

#include "kernels/peak/peak.h"
#if defined(__x86_64__)
#include "simd/bytes_avx512_vnni.h"
#else
#include "simd/bytes_neon_dot.h"
#endif

namespace mobileinst {
namespace {

/// As those of floats: enough independent sums to hide the latency.
constexpr size_t kPeakSumsInt8 = 12;

void peak_run_int8(size_t steps, const float* seeds, float* sum) {
    int8_t factors[2][Bytes::kWidth];
    for (size_t i = 0; i < Bytes::kWidth; ++i) {
        factors[0][i] = static_cast<int8_t>(2.0f * seeds[0] + static_cast<float>(i));
        factors[1][i] = static_cast<int8_t>(2.0f * seeds[1] - static_cast<float>(i));
    }
    const Bytes values = Bytes::load(factors[0]), weights = Bytes::load(factors[1]);
    int32_t lanes[Bytes::kWidth / 4] = {};
    Sums s[kPeakSumsInt8];
    for (size_t i = 0; i < kPeakSumsInt8; ++i) {
        lanes[0] = static_cast<int32_t>(i);
        s[i] = Sums::load(lanes);
    }
    for (size_t step = 0; step < steps; ++step) {
        for (Sums& one : s) {
            one = dot(one, values, weights);
        }
    }
    *sum = 0.0f;
    for (const Sums& one : s) {
        one.store(lanes);
        *sum += static_cast<float>(lanes[0]);
    }
}

constexpr PeakKernels kPeakInt8 = {peak_run_int8, 2 * kPeakSumsInt8 * Bytes::kWidth};

}  // namespace
}  // namespace mobileinst
