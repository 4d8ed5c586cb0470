#pragma once

// Tiles and panels around multiply_tile(), shared by the matrix product and Winograd's. Include after
// core/finish.inl.h, a tile_*.inl.h and the constants
//   kRowTile       rows of C per tile
//   kPanelVectors  vectors of C's columns per tile
//   kSecondCacheFloats  what the second-level cache holds
//
// Packed weights: panels of kPanelVectors vectors of columns, each panel (k, columns) row-major; the last
// panel has as few vectors as hold what is left, filled up with zeros.

namespace mobileinst {
namespace {

constexpr size_t kPanelColumns = kPanelVectors * Vec::kWidth;

inline size_t gemm_packed_size(size_t n, size_t k) { return round_up(n, Vec::kWidth) * k; }

/// Columns that the panel beginning at `column` holds, zeros included.
inline size_t panel_columns(size_t n, size_t column) {
    return smaller(kPanelColumns, round_up(n - column, Vec::kWidth));
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

/// Where a tile's sums go when they are intermediate: whole vectors, as they are.
struct RawRows {
    float* c;
    size_t ldc;

    Vec start(size_t) const { return Vec::zero(); }

    template <int ROWS, int VECTORS>
    void store(Vec (&acc)[ROWS][VECTORS]) const {
#pragma GCC unroll 16
        for (int r = 0; r < ROWS; ++r) {
#pragma GCC unroll 4
            for (int v = 0; v < VECTORS; ++v) {
                acc[r][v].store(c + r * ldc + v * Vec::kWidth);
            }
        }
    }

    RawRows below(size_t rows) const { return {c + rows * ldc, ldc}; }
};

template <int ROWS, int VECTORS, typename Output>
__attribute__((noinline)) void gemm_tile(const float* a, size_t lda, const float* panel, size_t k,
                                         Output output) {
    Vec acc[ROWS][VECTORS];
#pragma GCC unroll 4
    for (int v = 0; v < VECTORS; ++v) {
        const Vec start = output.start(v);
#pragma GCC unroll 16
        for (int r = 0; r < ROWS; ++r) {
            acc[r][v] = start;
        }
    }
    multiply_tile<ROWS, VECTORS>(a, lda, panel, k, acc);
    output.store(acc);
}

template <int ROWS, int VECTORS, typename Output>
inline void gemm_tile_of(size_t rows, const float* a, size_t lda, const float* panel, size_t k,
                         Output output) {
    if constexpr (ROWS > 1) {
        if (rows < ROWS) {
            return gemm_tile_of<ROWS - 1, VECTORS>(rows, a, lda, panel, k, output);
        }
    }
    gemm_tile<ROWS, VECTORS>(a, lda, panel, k, output);
}

template <int VECTORS, typename Output>
inline void gemm_rows(const float* a, size_t lda, size_t rows, const float* panel, size_t k, Output output) {
    while (rows > 0) {
        const size_t step = divide_up(rows, divide_up(rows, kRowTile));  // even tiles: no thin one at the end
        gemm_tile_of<static_cast<int>(kRowTile), VECTORS>(step, a, lda, panel, k, output);
        a += step * lda;
        output = output.below(step);
        rows -= step;
    }
}

/// All rows against one panel of `vectors` vectors.
template <typename Output>
inline void gemm_panel(const float* a, size_t lda, size_t rows, const float* panel, size_t vectors, size_t k,
                       Output output) {
    static_assert(kPanelVectors >= 1 && kPanelVectors <= 3);
    if (vectors == kPanelVectors) {
        return gemm_rows<static_cast<int>(kPanelVectors)>(a, lda, rows, panel, k, output);
    }
    if constexpr (kPanelVectors == 3) {
        if (vectors == 2) {
            return gemm_rows<2>(a, lda, rows, panel, k, output);
        }
    }
    gemm_rows<1>(a, lda, rows, panel, k, output);
}

}  // namespace
}  // namespace mobileinst
