#pragma once

#include <cstddef>
#include <cstdint>

namespace mobileinst {

/// Where an output position of a bilinear resize reads its input: x[low] + (x[high] - x[low]) * weight.
struct LinearTap {
    uint32_t low, high;
    float weight;  ///< in [0, 1)
};

/// Half-pixel centres, clamped at the edges (align_corners = False). Internal linkage, as files for different
/// instruction sets include it.
static inline LinearTap linear_tap(size_t position, size_t in, size_t out) {
    const double source =
        (static_cast<double>(position) + 0.5) * static_cast<double>(in) / static_cast<double>(out) - 0.5;
    if (source <= 0.0) {
        return {0, in > 1 ? 1u : 0u, 0.0f};
    }
    const uint32_t low = static_cast<uint32_t>(source);
    const uint32_t last = static_cast<uint32_t>(in - 1);
    if (low >= last) {
        return {last, last, 0.0f};
    }
    return {low, low + 1, static_cast<float>(source - low)};
}

}  // namespace mobileinst
