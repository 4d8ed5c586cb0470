#pragma once

// What the tiles of all tiers have in common.

#include "simd/epilogue.h"

namespace mobileinst {
namespace {

/// Where tiles_text(), which some tiers have, begins and what it does with the sums.
struct TileTarget {
    const float* start;  // (16,) of each row's sums
    float* c;
    size_t ldc;
    const float* residual;  // added at the end, or null
    size_t residual_ld;
    Activation activation;  // only_limits()
};

/// Every row's sums begin with the same vectors.
template <int ROWS, int VECTORS>
inline __attribute__((always_inline)) void start_rows(const Vec<float> (&start)[VECTORS],
                                                      Vec<float> (&acc)[ROWS][VECTORS]) {
#pragma GCC unroll 4
    for (int v = 0; v < VECTORS; ++v) {
#pragma GCC unroll 16
        for (int r = 0; r < ROWS; ++r) {
            acc[r][v] = start[v];
        }
    }
}

}  // namespace
}  // namespace mobileinst
