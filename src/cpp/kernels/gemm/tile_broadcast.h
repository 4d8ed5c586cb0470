#pragma once

// Inner product of the matrix kernels where one value of A is broadcast against vectors of W: on x86.

#include "kernels/gemm/start.h"

namespace mobileinst {
namespace {

/// Shape of the tiles. AVX-512: 12 x 2 sums, 2 weights and 1 value fill 27 of 32 registers; others: 6 x 2
/// sums, 2 weights and 1 value fill 15 of 16.
constexpr size_t kRowTile = kVecBytes == 64 ? 12 : 6;  // rows of C per tile of a whole panel
constexpr size_t kPanelVectors = 2;                    // vectors of C's columns per tile

/// Rows of a tile of that many vectors.
template <size_t VECTORS>
constexpr size_t kTileRows = kRowTile;

/// A function computes one tile: with a loop over tiles around it, compilers spill sums.
constexpr bool kLoopsOverTiles = false;

/// Whether there is assembly for such tiles.
template <int ROWS, int VECTORS>
constexpr bool kTileAssembly = false;
template <int ROWS>
void assembled_tiles(const Element* a, size_t lda, size_t tiles, const Element* panel, size_t k,
                     const TileTarget& target);
template <int ROWS>
void assembled_tiles_of_runs(const Element* a, size_t lda, size_t runs, size_t step, size_t length,
                             size_t tiles, const Element* panel, const TileTarget& target);

/// acc[r][v] += sum over i < k of a[r * lda + i] * panel[i][v], a panel row being VECTORS vectors.
template <int ROWS, int VECTORS>
inline __attribute__((always_inline)) void multiply_tile(const Element* a, size_t lda, const Element* panel,
                                                         size_t k, Vec<Element> (&acc)[ROWS][VECTORS]) {
    // A pointer per three rows, the others reached by x86's scaled index: a pointer per row would spill.
    constexpr int kGroups = (ROWS + 2) / 3;
    const Element* group[kGroups];
#pragma GCC unroll 6
    for (int g = 0; g < kGroups; ++g) {
        group[g] = a + g * 3 * lda;
    }
    for (const Element* end = panel + k * VECTORS * Vec<Element>::kWidth; panel != end;) {
        Vec<Element> w[VECTORS];
#pragma GCC unroll 4
        for (int v = 0; v < VECTORS; ++v) {
            w[v] = Vec<Element>::load(panel + v * Vec<Element>::kWidth);
        }
        panel += VECTORS * Vec<Element>::kWidth;
#pragma GCC unroll 16
        for (int r = 0; r < ROWS; ++r) {
            const Vec<Element> x = Vec<Element>::broadcast(group[r / 3] + r % 3 * lda);
#pragma GCC unroll 4
            for (int v = 0; v < VECTORS; ++v) {
                acc[r][v] = fma(x, w[v], acc[r][v]);
            }
        }
#pragma GCC unroll 6
        for (int g = 0; g < kGroups; ++g) {
            ++group[g];
        }
    }
}

/// acc[r] = start + sum over i < k of a[r * lda + i] * panel[i].
template <int ROWS, int VECTORS>
inline __attribute__((always_inline)) void sum_tile(const Element* a, size_t lda, const Element* panel,
                                                    size_t k, const Vec<Element> (&start)[VECTORS],
                                                    Vec<Element> (&acc)[ROWS][VECTORS]) {
    start_rows(start, acc);
    multiply_tile(a, lda, panel, k, acc);
}

}  // namespace
}  // namespace mobileinst
