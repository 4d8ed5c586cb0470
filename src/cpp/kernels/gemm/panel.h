#pragma once

// Tiles and panels around sum_tile(), shared by the matrix product and Winograd's.
//
// Packed weights: panels of kPanelVectors vectors of columns, each panel (k, columns) row-major; the last
// panel has as few vectors as hold what is left, filled up with zeros.

#include "simd/epilogue.h"
#if defined(__aarch64__)
#include "kernels/gemm/tile_lane.h"
#else
#include "kernels/gemm/tile_broadcast.h"
#endif

namespace mobileinst {
namespace {

constexpr size_t kPanelColumns = kPanelVectors * Vec<Element>::kWidth;

/// What sums begin with where there is no bias.
alignas(64) constexpr Element kZeroColumns[kPanelColumns] = {};

/// Floats of packed weights (n, k).
inline size_t packed_elements(size_t n, size_t k) { return round_up(n, Vec<Element>::kWidth) * k; }

/// Columns that the panel beginning at `column` holds, zeros included.
inline size_t panel_columns(size_t n, size_t column) {
    return smaller(kPanelColumns, round_up(n - column, Vec<Element>::kWidth));
}

/// Where a tile's sums go: rows of C from (row, column) on, with the epilogue.
struct EpilogueRows {
    const VecEpilogue* epilogue;
    Element* c;
    size_t ldc, row, column, columns;

    Vec<Element> start(size_t vector) const {
        const size_t done = vector * Vec<Element>::kWidth;
        return epilogue->bias(column + done, columns - done);
    }

    template <int ROWS, int VECTORS>
    inline __attribute__((always_inline)) void store(Vec<Element> (&acc)[ROWS][VECTORS]) const {
        epilogue->activate_all(&acc[0][0], ROWS * VECTORS);
        // Told apart here so that the usual case has no branch per vector.
        if (columns >= VECTORS * Vec<Element>::kWidth) {
            store_columns(acc, Vec<Element>::kWidth);
        } else {
            store_columns(acc, columns - (VECTORS - 1) * Vec<Element>::kWidth);
        }
    }

    /// Describes this to assembly, where that can do all of it.
    bool describe(TileTarget* target) const {
        *target = {epilogue->bias_values == nullptr ? kZeroColumns : epilogue->bias_values + column,
                   c,
                   ldc * sizeof(Element),
                   epilogue->residual == nullptr ? nullptr
                                                 : epilogue->residual + row * epilogue->residual_ld + column,
                   epilogue->residual_ld * sizeof(Element),
                   epilogue->mode};
        return columns >= kPanelColumns && only_limits(epilogue->activation);
    }

    EpilogueRows below(size_t rows) const {
        return {epilogue, c + rows * ldc, ldc, row + rows, column, columns};
    }

  private:
    /// The last vector has `last` columns.
    template <int ROWS, int VECTORS>
    inline __attribute__((always_inline)) void store_columns(Vec<Element> (&acc)[ROWS][VECTORS],
                                                             size_t last) const {
        if (epilogue->residual != nullptr) {
            const Element* from = epilogue->residual + row * epilogue->residual_ld + column;
#pragma GCC unroll 16
            for (int r = 0; r < ROWS; ++r) {
                from = settled(from);
#pragma GCC unroll 4
                for (int v = 0; v < VECTORS; ++v) {
                    acc[r][v] =
                        acc[r][v] + Vec<Element>::load_up_to(from + v * Vec<Element>::kWidth,
                                                             v + 1 < VECTORS ? Vec<Element>::kWidth : last);
                }
                from += epilogue->residual_ld;
            }
        }
        Element* to = c;
#pragma GCC unroll 16
        for (int r = 0; r < ROWS; ++r) {
            to = settled(to);
#pragma GCC unroll 4
            for (int v = 0; v < VECTORS; ++v) {
                acc[r][v].store_up_to(to + v * Vec<Element>::kWidth,
                                      v + 1 < VECTORS ? Vec<Element>::kWidth : last);
            }
            to += ldc;
        }
    }
};

/// Where a tile's sums go when they are intermediate: whole vectors, as they are.
struct RawRows {
    Element* c;
    size_t ldc;

    Vec<Element> start(size_t) const { return Vec<Element>::zero(); }

    template <int ROWS, int VECTORS>
    inline __attribute__((always_inline)) void store(Vec<Element> (&acc)[ROWS][VECTORS]) const {
        Element* to = c;
#pragma GCC unroll 16
        for (int r = 0; r < ROWS; ++r) {
            to = settled(to);
#pragma GCC unroll 4
            for (int v = 0; v < VECTORS; ++v) {
                acc[r][v].store(to + v * Vec<Element>::kWidth);
            }
            to += ldc;
        }
    }

    bool describe(TileTarget* target) const {
        *target = {kZeroColumns, c, ldc * sizeof(Element), nullptr, 0, 0};
        return true;
    }

    RawRows below(size_t rows) const { return {c + rows * ldc, ldc}; }
};

/// `tiles` tiles below each other.
template <int ROWS, int VECTORS, typename Output>
inline __attribute__((always_inline)) void gemm_tiles_inline(const Element* a, size_t lda, size_t tiles,
                                                             const Element* panel, size_t k, Output output) {
    Vec<Element> start[VECTORS];
#pragma GCC unroll 4
    for (int v = 0; v < VECTORS; ++v) {
        start[v] = output.start(v);
    }
    for (; tiles > 0; --tiles) {
        Vec<Element> acc[ROWS][VECTORS];
        sum_tile(a, lda, panel, k, start, acc);
        output.store(acc);
        a += ROWS * lda;
        output = output.below(ROWS);
    }
}

template <int ROWS, int VECTORS, typename Output>
__attribute__((noinline)) void gemm_tiles(const Element* a, size_t lda, size_t tiles, const Element* panel,
                                          size_t k, Output output) {
    gemm_tiles_inline<ROWS, VECTORS>(a, lda, tiles, panel, k, output);
}

/// The tile that begins `row` rows below. `output` is not passed by value: it would go over the stack, and
/// loads from there waited until all that the tile before had stored was in the cache.
template <int ROWS, int VECTORS, typename Output>
__attribute__((noinline)) void gemm_tile(const Element* a, size_t lda, const Element* panel, size_t k,
                                         const Output& output, size_t row) {
    gemm_tiles_inline<ROWS, VECTORS>(a, lda, 1, panel, k, output.below(row));
}

template <int ROWS, int VECTORS, typename Output>
inline void gemm_tiles_of(size_t rows, const Element* a, size_t lda, size_t tiles, const Element* panel,
                          size_t k, const Output& output) {
    if constexpr (ROWS > 1) {
        if (rows < ROWS) {
            return gemm_tiles_of<ROWS - 1, VECTORS>(rows, a, lda, tiles, panel, k, output);
        }
    }
    if constexpr (kTileAssembly<ROWS, VECTORS>) {
        TileTarget target;
        if (output.describe(&target)) {
            return assembled_tiles<ROWS>(a, lda, tiles, panel, k, target);
        }
    }
    if constexpr (kLoopsOverTiles) {
        gemm_tiles<ROWS, VECTORS>(a, lda, tiles, panel, k, output);
    } else {
        for (size_t row = 0; row < tiles * ROWS; row += ROWS) {
            gemm_tile<ROWS, VECTORS>(a + row * lda, lda, panel, k, output, row);
        }
    }
}

template <int VECTORS, typename Output>
inline void gemm_panel_rows(const Element* a, size_t lda, size_t rows, const Element* panel, size_t k,
                            const Output& output) {
    constexpr int kRows = static_cast<int>(kTileRows<VECTORS>);
    // Even tiles, no thin one at the end: some of `high` rows, then some of one row less.
    const size_t tiles = divide_up(rows, kRows), low = rows / tiles, high_tiles = rows - low * tiles;
    if (high_tiles > 0) {
        gemm_tiles_of<kRows, VECTORS>(low + 1, a, lda, high_tiles, panel, k, output);
    }
    const size_t done = high_tiles * (low + 1);
    gemm_tiles_of<kRows, VECTORS>(low, a + done * lda, lda, tiles - high_tiles, panel, k, output.below(done));
}

/// All rows against one panel of `vectors` vectors, VECTORS at most.
template <int VECTORS, typename Output>
inline void gemm_panel_of(const Element* a, size_t lda, size_t rows, const Element* panel, size_t vectors,
                          size_t k, const Output& output) {
    if constexpr (VECTORS > 1) {
        if (vectors < VECTORS) {
            return gemm_panel_of<VECTORS - 1>(a, lda, rows, panel, vectors, k, output);
        }
    }
    gemm_panel_rows<VECTORS>(a, lda, rows, panel, k, output);
}

template <typename Output>
inline void gemm_panel(const Element* a, size_t lda, size_t rows, const Element* panel, size_t vectors,
                       size_t k, const Output& output) {
    gemm_panel_of<static_cast<int>(kPanelVectors)>(a, lda, rows, panel, vectors, k, output);
}

}  // namespace
}  // namespace mobileinst
