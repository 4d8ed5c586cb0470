#pragma once

// What the tiles of all tiers have in common.

#include "simd/epilogue.h"

namespace mobileinst {

/// Where tiles in assembly, which some tiers have, begin and what they do with the sums. Steps are in bytes.
struct TileTarget {
    const void* start;  // a panel's columns, of each row's sums
    void* c;
    size_t c_step;
    const void* residual;
    size_t residual_step;
    size_t mode;  // limit_bits(), and 4 for a residual
};

namespace {

/// Every row's sums begin with the same vectors.
template <int ROWS, int VECTORS>
inline __attribute__((always_inline)) void start_rows(const Vec<Element> (&start)[VECTORS],
                                                      Vec<Element> (&acc)[ROWS][VECTORS]) {
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
