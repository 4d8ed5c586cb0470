#pragma once

// Inner product of the matrix kernels by multiplication with one lane of a vector of A (NEON).

namespace mobileinst {
namespace {

/// acc[r] += x[r][LANE] * w, for one row of a panel.
template <int LANE, int ROWS, int VECTORS>
inline __attribute__((always_inline)) void multiply_lane(const Vec (&x)[ROWS], const float* panel,
                                                         Vec (&acc)[ROWS][VECTORS]) {
#pragma GCC unroll 4
    for (int v = 0; v < VECTORS; ++v) {
        const float32x4_t w = vld1q_f32(panel + (LANE * VECTORS + v) * 4);
#pragma GCC unroll 16
        for (int r = 0; r < ROWS; ++r) {
            acc[r][v].v = vfmaq_laneq_f32(acc[r][v].v, w, x[r].v, LANE);
        }
    }
}

/// acc[r][v] += sum over i < k of a[r * lda + i] * panel[i][v], a panel row being VECTORS vectors.
template <int ROWS, int VECTORS>
inline __attribute__((always_inline)) void multiply_tile(const float* a, size_t lda, const float* panel,
                                                         size_t k, Vec (&acc)[ROWS][VECTORS]) {
    const float* rows[ROWS];
#pragma GCC unroll 16
    for (int r = 0; r < ROWS; ++r) {
        rows[r] = a + r * lda;
    }
    Vec x[ROWS];
    size_t i = 0;
    for (; i + 4 <= k; i += 4) {
#pragma GCC unroll 16
        for (int r = 0; r < ROWS; ++r) {
            x[r] = Vec::load(rows[r]);
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
            x[r] = Vec::broadcast(rows[r]++);
        }
        multiply_lane<0>(x, panel, acc);
        panel += VECTORS * 4;
    }
}

}  // namespace
}  // namespace mobileinst
