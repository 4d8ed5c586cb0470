#pragma once

// The matrix product. Include after one of shape_*.inl.h.

#include "kernels/gemm/gemm.h"

namespace mobileinst {
namespace {

void gemm_pack(const float* weight, size_t ldw, size_t n, size_t k, float* packed) {
    for (size_t first = 0; first < n; first += kPanelColumns) {
        const size_t columns = panel_columns(n, first);
        for (size_t i = 0; i < k; ++i) {
            for (size_t j = 0; j < columns; ++j) {
                *packed++ = first + j < n ? weight[(first + j) * ldw + i] : 0.0f;
            }
        }
    }
}

/// Where a tile's sums go: rows of C from (row, column) on, with the epilogue.
struct FinishedRows {
    const Finish* finish;
    float* c;
    size_t ldc, row, column, columns;

    Vec start(size_t vector) const {
        const size_t done = vector * Vec::kWidth;
        return finish->bias(column + done, columns - done);
    }

    template <int ROWS, int VECTORS>
    void store(Vec (&acc)[ROWS][VECTORS]) const {
        for_each(acc, [&](Vec& x, size_t, size_t, size_t) { x = finish->activate(x); });
        const float* residual = finish->residual;
        if (residual != nullptr) {
            residual += row * finish->residual_ld + column;
            for_each(acc, [&](Vec& x, size_t r, size_t offset, size_t count) {
                x = x + Vec::load_up_to(residual + r * finish->residual_ld + offset, count);
            });
        }
        for_each(acc, [&](Vec& x, size_t r, size_t offset, size_t count) {
            x.store_up_to(c + r * ldc + offset, count);
        });
    }

    FinishedRows below(size_t rows) const {
        return {finish, c + rows * ldc, ldc, row + rows, column, columns};
    }

  private:
    /// Calls f(sums, row, first column, columns that exist from there on).
    template <int ROWS, int VECTORS, typename F>
    void for_each(Vec (&acc)[ROWS][VECTORS], F&& f) const {
#pragma GCC unroll 4
        for (int v = 0; v < VECTORS; ++v) {
            const size_t offset = v * Vec::kWidth;
            // Told apart here so that the usual case has no branch per row.
            if (columns - offset >= Vec::kWidth) {
#pragma GCC unroll 16
                for (int r = 0; r < ROWS; ++r) {
                    f(acc[r][v], r, offset, Vec::kWidth);
                }
            } else {
#pragma GCC unroll 16
                for (int r = 0; r < ROWS; ++r) {
                    f(acc[r][v], r, offset, columns - offset);
                }
            }
        }
    }
};

void gemm_run(const GemmArgs& args, size_t begin, size_t end) {
    const Finish finish(args.epilogue);
    // A panel of W stays in the first cache while rows of A, few enough to stay in the second, pass by.
    const size_t block = larger(kRowTile, kSecondCacheFloats / 4 / (args.k + args.n) / kRowTile * kRowTile);
    for (size_t row = begin; row < end; row += block) {
        const size_t rows = smaller(block, end - row);
        for (size_t column = 0; column < args.n; column += kPanelColumns) {
            float* c = args.c + row * args.ldc + column;
            gemm_panel(args.a + row * args.lda, args.lda, rows, args.packed + column * args.k,
                       panel_columns(args.n, column) / Vec::kWidth, args.k,
                       FinishedRows{&finish, c, args.ldc, row, column, args.n - column});
        }
    }
}

}  // namespace
}  // namespace mobileinst
