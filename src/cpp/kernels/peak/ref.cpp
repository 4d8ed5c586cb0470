#include "kernels/peak/peak.h"

namespace mobileinst {
namespace {

constexpr size_t kSums = 12;

void run(size_t steps, const float* seeds, float* sum) {
    float s[kSums];
    for (size_t i = 0; i < kSums; ++i) {
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

}  // namespace

const PeakKernels peak_f32_ref = {run, 2 * kSums};

}  // namespace mobileinst
