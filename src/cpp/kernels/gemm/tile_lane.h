#pragma once

// Inner product of the matrix kernels by multiplication with one lane of a vector of A (NEON).

#include "kernels/gemm/start.h"

// tiles_neon.S. Rows of A are `row_step` bytes apart.
extern "C" {
/// `tiles` > 0 tiles of four or three rows and 16 columns below each other, from start to end.
void mobileinst_gemm_tiles_4(const float* a, size_t row_step, size_t tiles, const float* panel, size_t k,
                             const mobileinst::TileTarget* target);
void mobileinst_gemm_tiles_3(const float* a, size_t row_step, size_t tiles, const float* panel, size_t k,
                             const mobileinst::TileTarget* target);
/// The same by four rows, where a row of A is `runs` runs of `length` values, each `gap` bytes after the end
/// of the one before.
void mobileinst_gemm_tiles_of_runs_4(const float* a, size_t row_step, size_t tiles, const float* panel,
                                     size_t length, const mobileinst::TileTarget* target, size_t runs,
                                     size_t gap);
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
inline __attribute__((always_inline)) void load_row(const float* panel, float32x4_t (&w)[VECTORS]) {
    if constexpr (VECTORS == 4) {
        const float32x4x4_t row = vld1q_f32_x4(panel);
#pragma GCC unroll 4
        for (int v = 0; v < 4; ++v) {
            w[v] = row.val[v];
        }
    } else {
#pragma GCC unroll 4
        for (int v = 0; v < VECTORS; ++v) {
            w[v] = vld1q_f32(panel + v * 4);
        }
    }
}

/// acc[r] += x[r][LANE] * w, for one row of a panel.
template <int LANE, int ROWS, int VECTORS>
inline __attribute__((always_inline)) void multiply_lane(const Vec<float> (&x)[ROWS], const float* panel,
                                                         Vec<float> (&acc)[ROWS][VECTORS]) {
    float32x4_t w[VECTORS];
    load_row(panel + LANE * VECTORS * 4, w);
#pragma GCC unroll 4
    for (int v = 0; v < VECTORS; ++v) {
#pragma GCC unroll 16
        for (int r = 0; r < ROWS; ++r) {
            acc[r][v].v = vfmaq_laneq_f32(acc[r][v].v, w[v], x[r].v, LANE);
        }
    }
}

/// acc[r][v] += sum over i < k of a[r * lda + i] * panel[i][v], a panel row being VECTORS vectors.
template <int ROWS, int VECTORS>
inline __attribute__((always_inline)) void multiply_tile(const float* a, size_t lda, const float* panel,
                                                         size_t k, Vec<float> (&acc)[ROWS][VECTORS]) {
    const float* rows[ROWS];
#pragma GCC unroll 16
    for (int r = 0; r < ROWS; ++r) {
        rows[r] = a + r * lda;
    }
    Vec<float> x[ROWS];
    size_t i = 0;
    for (; i + 4 <= k; i += 4) {
#pragma GCC unroll 16
        for (int r = 0; r < ROWS; ++r) {
            x[r] = Vec<float>::load(rows[r]);
            rows[r] += 4;
        }
        multiply_lane<0>(x, panel, acc);
        multiply_lane<1>(x, panel, acc);
        multiply_lane<2>(x, panel, acc);
        multiply_lane<3>(x, panel, acc);
        panel += 4 * VECTORS * 4;
    }
    for (; i < k; ++i) {
#pragma GCC unroll 16
        for (int r = 0; r < ROWS; ++r) {
            x[r] = Vec<float>::broadcast(rows[r]++);
        }
        multiply_lane<0>(x, panel, acc);
        panel += VECTORS * 4;
    }
}

/// Whether there is assembly for such tiles: they do most of the work.
template <int ROWS, int VECTORS>
constexpr bool kTileAssembly = (ROWS == 3 || ROWS == 4) && VECTORS == 4;

template <int ROWS>
inline void assembled_tiles(const float* a, size_t lda, size_t tiles, const float* panel, size_t k,
                            const TileTarget& target) {
    if constexpr (ROWS == 4) {
        mobileinst_gemm_tiles_4(a, lda * sizeof(float), tiles, panel, k, &target);
    } else {
        mobileinst_gemm_tiles_3(a, lda * sizeof(float), tiles, panel, k, &target);
    }
}

/// The same by ROWS = 4 rows where a row of A is `runs` runs of `length` values that begin `step` values
/// apart.
template <int ROWS>
inline void assembled_tiles_of_runs(const float* a, size_t lda, size_t runs, size_t step, size_t length,
                                    size_t tiles, const float* panel, const TileTarget& target) {
    static_assert(ROWS == 4, "no assembly for other tiles");
    mobileinst_gemm_tiles_of_runs_4(a, lda * sizeof(float), tiles, panel, length, &target, runs,
                                    (step - length) * sizeof(float));
}

/// acc[r] = start + sum over i < k of a[r * lda + i] * panel[i].
template <int ROWS, int VECTORS>
inline __attribute__((always_inline)) void sum_tile(const float* a, size_t lda, const float* panel, size_t k,
                                                    const Vec<float> (&start)[VECTORS],
                                                    Vec<float> (&acc)[ROWS][VECTORS]) {
    if constexpr (kTileAssembly<ROWS, VECTORS>) {
        float sums[ROWS * VECTORS * 4];
        assembled_tiles<ROWS>(a, lda, 1, panel, k,
                              {reinterpret_cast<const float*>(start), sums, VECTORS * 16, nullptr, 0, 0});
#pragma GCC unroll 4
        for (int r = 0; r < ROWS; ++r) {
#pragma GCC unroll 4
            for (int v = 0; v < VECTORS; ++v) {
                acc[r][v] = Vec<float>::load(sums + (r * VECTORS + v) * 4);
            }
        }
    } else {
        start_rows(start, acc);
        multiply_tile(a, lda, panel, k, acc);
    }
}

}  // namespace
}  // namespace mobileinst
