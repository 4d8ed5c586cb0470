#pragma once

// Inner product of the matrix kernels where one value of A is broadcast against vectors of W (AVX2, AVX-512).

namespace mobileinst {
namespace {

/// acc[r][v] += sum over i < k of a[r * lda + i] * panel[i][v], a panel row being VECTORS vectors.
template <int ROWS, int VECTORS>
inline __attribute__((always_inline)) void multiply_tile(const float* a, size_t lda, const float* panel,
                                                         size_t k, Vec (&acc)[ROWS][VECTORS]) {
    for (size_t i = 0; i < k; ++i) {
        Vec w[VECTORS];
#pragma GCC unroll 4
        for (int v = 0; v < VECTORS; ++v) {
            w[v] = Vec::load(panel + v * Vec::kWidth);
        }
        panel += VECTORS * Vec::kWidth;
#pragma GCC unroll 16
        for (int r = 0; r < ROWS; ++r) {
            const Vec x = Vec::broadcast(a + r * lda + i);
#pragma GCC unroll 4
            for (int v = 0; v < VECTORS; ++v) {
                acc[r][v] = fma(x, w[v], acc[r][v]);
            }
        }
    }
}

}  // namespace
}  // namespace mobileinst
