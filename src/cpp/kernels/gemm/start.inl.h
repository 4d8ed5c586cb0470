#pragma once

// What the tiles of all tiers have in common.

namespace mobileinst {
namespace {

/// Every row's sums begin with the same vectors.
template <int ROWS, int VECTORS>
inline __attribute__((always_inline)) void start_rows(const Vec (&start)[VECTORS],
                                                      Vec (&acc)[ROWS][VECTORS]) {
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
