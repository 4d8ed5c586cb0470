#pragma once

// Inner product of the matrix kernels by multiplication with one lane of a vector of A (NEON).

#include "kernels/gemm/start.h"

namespace mobileinst {

/// `tiles` > 0 tiles of so many rows and four vectors of columns below each other, from start to end. Rows of
/// A are `row_step` bytes apart.
using TilesFunction = void(const void* a, size_t row_step, size_t tiles, const void* panel, size_t k,
                           const TileTarget* target);
/// The same where a row of A is `runs` runs of `length` values, each `gap` bytes after the end of the one
/// before.
using TilesOfRunsFunction = void(const void* a, size_t row_step, size_t tiles, const void* panel,
                                 size_t length, const TileTarget* target, size_t runs, size_t gap);

}  // namespace mobileinst

extern "C" {
// tiles_neon.S
mobileinst::TilesFunction mobileinst_gemm_tiles_4, mobileinst_gemm_tiles_3;
mobileinst::TilesOfRunsFunction mobileinst_gemm_tiles_of_runs_4;
// tiles_neon_fp16.S
mobileinst::TilesFunction mobileinst_gemm_tiles_4_fp16, mobileinst_gemm_tiles_3_fp16;
mobileinst::TilesOfRunsFunction mobileinst_gemm_tiles_of_runs_4_fp16;
}

namespace mobileinst {
namespace {

/// Shape of the tiles: 4 x 4 sums, 8 values and 8 weights fill the 32 registers.
constexpr size_t kRowTile = 4;       // rows of C per tile of a whole panel
constexpr size_t kPanelVectors = 4;  // vectors of C's columns per tile

/// Rows of a tile of that many vectors: its sums, values and weights fill the 32 registers.
template <size_t VECTORS>
constexpr size_t kTileRows = VECTORS == 4   ? 4
                             : VECTORS == 3 ? 6
                                            : 8;

/// A function computes a column of tiles, so that registers are saved and addresses computed once for all.
constexpr bool kLoopsOverTiles = true;

/// A row of a panel.
template <int VECTORS>
inline __attribute__((always_inline)) void load_row(const Element* panel, Vec<Element> (&w)[VECTORS]) {
    if constexpr (VECTORS == 4) {
        load_four(panel, w);
    } else {
#pragma GCC unroll 4
        for (int v = 0; v < VECTORS; ++v) {
            w[v] = Vec<Element>::load(panel + v * Vec<Element>::kWidth);
        }
    }
}

/// acc[r] += x[r][LANE] * w, for one row of a panel.
template <int LANE, int ROWS, int VECTORS>
inline __attribute__((always_inline)) void multiply_lane(const Vec<Element> (&x)[ROWS], const Element* panel,
                                                         Vec<Element> (&acc)[ROWS][VECTORS]) {
    Vec<Element> w[VECTORS];
    load_row(panel + LANE * VECTORS * Vec<Element>::kWidth, w);
#pragma GCC unroll 4
    for (int v = 0; v < VECTORS; ++v) {
#pragma GCC unroll 16
        for (int r = 0; r < ROWS; ++r) {
            acc[r][v] = fma_lane<LANE>(w[v], x[r], acc[r][v]);
        }
    }
}

/// The same for all lanes from LANE on and as many rows of a panel.
template <int LANE, int ROWS, int VECTORS>
inline __attribute__((always_inline)) void multiply_lanes(const Vec<Element> (&x)[ROWS], const Element* panel,
                                                          Vec<Element> (&acc)[ROWS][VECTORS]) {
    multiply_lane<LANE>(x, panel, acc);
    if constexpr (LANE + 1 < Vec<Element>::kWidth) {
        multiply_lanes<LANE + 1>(x, panel, acc);
    }
}

/// acc[r][v] += sum over i < k of a[r * lda + i] * panel[i][v], a panel row being VECTORS vectors.
template <int ROWS, int VECTORS>
inline __attribute__((always_inline)) void multiply_tile(const Element* a, size_t lda, const Element* panel,
                                                         size_t k, Vec<Element> (&acc)[ROWS][VECTORS]) {
    const Element* rows[ROWS];
#pragma GCC unroll 16
    for (int r = 0; r < ROWS; ++r) {
        rows[r] = a + r * lda;
    }
    constexpr size_t kWidth = Vec<Element>::kWidth;
    Vec<Element> x[ROWS];
    size_t i = 0;
    for (; i + kWidth <= k; i += kWidth) {
#pragma GCC unroll 16
        for (int r = 0; r < ROWS; ++r) {
            x[r] = Vec<Element>::load(rows[r]);
            rows[r] += kWidth;
        }
        multiply_lanes<0>(x, panel, acc);
        panel += kWidth * VECTORS * kWidth;
    }
    for (; i < k; ++i) {
#pragma GCC unroll 16
        for (int r = 0; r < ROWS; ++r) {
            x[r] = Vec<Element>::broadcast(rows[r]++);
        }
        multiply_lane<0>(x, panel, acc);
        panel += VECTORS * kWidth;
    }
}

/// Whether there is assembly for such tiles: they do most of the work.
template <int ROWS, int VECTORS>
constexpr bool kTileAssembly = (ROWS == 3 || ROWS == 4) && VECTORS == 4;

template <int ROWS>
inline void assembled_tiles(const Element* a, size_t lda, size_t tiles, const Element* panel, size_t k,
                            const TileTarget& target) {
    constexpr bool kFour = ROWS == 4;
    TilesFunction* function = kFour ? mobileinst_gemm_tiles_4 : mobileinst_gemm_tiles_3;
    if constexpr (kElementType == DType::Float16) {
        function = kFour ? mobileinst_gemm_tiles_4_fp16 : mobileinst_gemm_tiles_3_fp16;
    }
    function(a, lda * sizeof(Element), tiles, panel, k, &target);
}

/// The same by ROWS = 4 rows where a row of A is `runs` runs of `length` values that begin `step` values
/// apart.
template <int ROWS>
inline void assembled_tiles_of_runs(const Element* a, size_t lda, size_t runs, size_t step, size_t length,
                                    size_t tiles, const Element* panel, const TileTarget& target) {
    static_assert(ROWS == 4, "no assembly for other tiles");
    TilesOfRunsFunction* function = kElementType == DType::Float16 ? mobileinst_gemm_tiles_of_runs_4_fp16
                                                                   : mobileinst_gemm_tiles_of_runs_4;
    function(a, lda * sizeof(Element), tiles, panel, length, &target, runs,
             (step - length) * sizeof(Element));
}

/// acc[r] = start + sum over i < k of a[r * lda + i] * panel[i].
template <int ROWS, int VECTORS>
inline __attribute__((always_inline)) void sum_tile(const Element* a, size_t lda, const Element* panel,
                                                    size_t k, const Vec<Element> (&start)[VECTORS],
                                                    Vec<Element> (&acc)[ROWS][VECTORS]) {
    if constexpr (kTileAssembly<ROWS, VECTORS>) {
        constexpr size_t kWidth = Vec<Element>::kWidth;
        Element sums[ROWS * VECTORS * kWidth];
        assembled_tiles<ROWS>(a, lda, 1, panel, k, {start, sums, VECTORS * kVecBytes, nullptr, 0, 0});
#pragma GCC unroll 4
        for (int r = 0; r < ROWS; ++r) {
#pragma GCC unroll 4
            for (int v = 0; v < VECTORS; ++v) {
                acc[r][v] = Vec<Element>::load(sums + (r * VECTORS + v) * kWidth);
            }
        }
    } else {
        start_rows(start, acc);
        multiply_tile(a, lda, panel, k, acc);
    }
}

}  // namespace
}  // namespace mobileinst
