#pragma once

// Inner product of the matrix kernels by multiplication with one lane of a vector of A (NEON).

#include "kernels/gemm/start.h"

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

// The tiles that do most of the work are text: compilers, given all 32 registers to allocate, move and spill
// values in the innermost loop, and know no loads and stores of several registers with a pointer that moves
// on by a register. Sums are V16 to V31, values of eight steps lie in V0 to V7, weights of one step in V8 to
// V11 and of the next in V12 to V15. LAST(text) is the text in a tile of four rows, else nothing.
#define MOBILEINST_ONE(...) __VA_ARGS__
#define MOBILEINST_NONE(...) ""
#define MOBILEINST_EVEN_WEIGHTS "ld1 {v8.4s-v11.4s}, [x13], #64\n"
#define MOBILEINST_ODD_WEIGHTS "ld1 {v12.4s-v15.4s}, [x13], #64\n"
#define MOBILEINST_ROW(S0, S1, S2, S3, W0, W1, W2, W3, X)                \
    "fmla v" S0 ".4s, " W0 ".4s, " X "\n fmla v" S1 ".4s, " W1 ".4s, " X \
    "\n"                                                                 \
    "fmla v" S2 ".4s, " W2 ".4s, " X "\n fmla v" S3 ".4s, " W3 ".4s, " X "\n"
#define MOBILEINST_ROWS(LAST, LANE, X0, X1, X2, X3, ...)                   \
    MOBILEINST_ROW("16", "17", "18", "19", __VA_ARGS__, X0 ".s[" LANE "]") \
    MOBILEINST_ROW("20", "21", "22", "23", __VA_ARGS__, X1 ".s[" LANE "]") \
    MOBILEINST_ROW("24", "25", "26", "27", __VA_ARGS__, X2 ".s[" LANE "]") \
    LAST(MOBILEINST_ROW("28", "29", "30", "31", __VA_ARGS__, X3 ".s[" LANE "]"))
#define MOBILEINST_EVEN(LAST, LANE, ...) MOBILEINST_ROWS(LAST, LANE, __VA_ARGS__, "v8", "v9", "v10", "v11")
#define MOBILEINST_ODD(LAST, LANE, ...) MOBILEINST_ROWS(LAST, LANE, __VA_ARGS__, "v12", "v13", "v14", "v15")
#define MOBILEINST_EIGHT_STEPS(LAST)                                                                  \
    MOBILEINST_EVEN_WEIGHTS                                                                           \
    "ldp q0, q4, [x9], #32\n ldp q1, q5, [x10], #32\n ldp q2, q6, [x11], #32\n" LAST(                 \
        "ldp q3, q7, [x12], #32\n") MOBILEINST_ODD_WEIGHTS                                            \
    MOBILEINST_EVEN(LAST, "0", "v0", "v1", "v2", "v3")                                                \
        MOBILEINST_EVEN_WEIGHTS MOBILEINST_ODD(LAST, "1", "v0", "v1", "v2", "v3")                     \
            MOBILEINST_ODD_WEIGHTS MOBILEINST_EVEN(LAST, "2", "v0", "v1", "v2", "v3")                 \
                MOBILEINST_EVEN_WEIGHTS MOBILEINST_ODD(LAST, "3", "v0", "v1", "v2", "v3")             \
                    MOBILEINST_ODD_WEIGHTS MOBILEINST_EVEN(LAST, "0", "v4", "v5", "v6", "v7")         \
                        MOBILEINST_EVEN_WEIGHTS MOBILEINST_ODD(LAST, "1", "v4", "v5", "v6", "v7")     \
                            MOBILEINST_ODD_WEIGHTS MOBILEINST_EVEN(LAST, "2", "v4", "v5", "v6", "v7") \
                                MOBILEINST_ODD(LAST, "3", "v4", "v5", "v6", "v7")
#define MOBILEINST_LIMIT(OP, S) "f" OP " v" S ".4s, v" S ".4s, v0.4s\n"
#define MOBILEINST_LIMIT_ROW(OP, S0, S1, S2, S3) \
    MOBILEINST_LIMIT(OP, S0) MOBILEINST_LIMIT(OP, S1) MOBILEINST_LIMIT(OP, S2) MOBILEINST_LIMIT(OP, S3)
#define MOBILEINST_LIMIT_ALL(LAST, OP)               \
    MOBILEINST_LIMIT_ROW(OP, "16", "17", "18", "19") \
    MOBILEINST_LIMIT_ROW(OP, "20", "21", "22", "23") \
    MOBILEINST_LIMIT_ROW(OP, "24", "25", "26", "27") LAST(MOBILEINST_LIMIT_ROW(OP, "28", "29", "30", "31"))
#define MOBILEINST_ADD_ROW(S0, S1, S2, S3)                       \
    "ld1 {v0.4s-v3.4s}, [%[residual]], %[residual_ld]\n"         \
    "fadd v" S0 ".4s, v" S0 ".4s, v0.4s\n fadd v" S1 ".4s, v" S1 \
    ".4s, v1.4s\n"                                               \
    "fadd v" S2 ".4s, v" S2 ".4s, v2.4s\n fadd v" S3 ".4s, v" S3 ".4s, v3.4s\n"
#define MOBILEINST_EPILOGUE(LAST) \
    "6: cbz %[mode], 8f\n"                                                                                \
    "tbz %[mode], #0, 7f\n movi v0.4s, #0\n" MOBILEINST_LIMIT_ALL(LAST, "max")                            \
    "tbz %[mode], #1, 7f\n fmov v0.4s, #6.0\n" MOBILEINST_LIMIT_ALL(LAST, "min")                          \
    "7: cbz %[residual], 8f\n"                                                                            \
    MOBILEINST_ADD_ROW("16", "17", "18", "19") MOBILEINST_ADD_ROW("20", "21", "22", "23")                 \
    MOBILEINST_ADD_ROW("24", "25", "26", "27") LAST(MOBILEINST_ADD_ROW("28", "29", "30", "31"))           \
    "8: st1 {v16.4s-v19.4s}, [%[c]], %[ldc]\n st1 {v20.4s-v23.4s}, [%[c]], %[ldc]\n"                      \
    "st1 {v24.4s-v27.4s}, [%[c]], %[ldc]\n" LAST("st1 {v28.4s-v31.4s}, [%[c]], %[ldc]\n")                 \
    "add %[a], %[a], %[tile]\n subs %[tiles], %[tiles], #1\n b.ne 1b\n"
#define MOBILEINST_TILES(LAST) \
    "1: ld1 {v16.4s-v19.4s}, [%[start]]\n ld1 {v20.4s-v23.4s}, [%[start]]\n"                              \
    "ld1 {v24.4s-v27.4s}, [%[start]]\n" LAST("ld1 {v28.4s-v31.4s}, [%[start]]\n")                         \
    "mov x9, %[a]\n add x10, %[a], %[lda]\n add x11, %[a], %[lda], lsl #1\n"                              \
    LAST("add x12, x10, %[lda], lsl #1\n")                                                                \
    "mov x13, %[panel]\n mov x14, %[sixteens]\n cbz x14, 3f\n"                                            \
    "2:\n" MOBILEINST_EIGHT_STEPS(LAST) MOBILEINST_EIGHT_STEPS(LAST)                                      \
    "subs x14, x14, #1\n b.ne 2b\n"                                                                       \
    "3: cbz %[rest], 6f\n"                                                                                \
    "tbz %[rest], #3, 4f\n" MOBILEINST_EIGHT_STEPS(LAST)                                                  \
    "4: ands x14, %[rest], #7\n b.eq 6f\n"                                                                \
    "5:\n" MOBILEINST_EVEN_WEIGHTS                                                                        \
    "ldr s0, [x9], #4\n ldr s1, [x10], #4\n ldr s2, [x11], #4\n"                                          \
    LAST("ldr s3, [x12], #4\n") MOBILEINST_EVEN(LAST, "0", "v0", "v1", "v2", "v3")                        \
    "subs x14, x14, #1\n b.ne 5b\n"                                                                       \
    MOBILEINST_EPILOGUE(LAST)
#define MOBILEINST_VECTORS                                                                                \
    "v0", "v1", "v2", "v3", "v4", "v5", "v6", "v7", "v8", "v9", "v10", "v11", "v12", "v13", "v14", "v15", \
        "v16", "v17", "v18", "v19", "v20", "v21", "v22", "v23", "v24", "v25", "v26", "v27", "v28", "v29", \
        "v30", "v31"
#define MOBILEINST_TILES_OF(ROWS, LAST)                                                                \
    asm volatile(                                                                                      \
        MOBILEINST_TILES(LAST)                                                                         \
        : [a] "+r"(a), [c] "+r"(c), [residual] "+r"(residual), [tiles] "+r"(tiles)                     \
        : [lda] "r"(lda * sizeof(float)), [tile] "r"(ROWS * lda * sizeof(float)), [panel] "r"(panel),  \
          [sixteens] "r"(k / 16), [rest] "r"(k % 16), [start] "r"(target.start), [mode] "r"(mode),     \
          [ldc] "r"(target.ldc * sizeof(float)), [residual_ld] "r"(target.residual_ld * sizeof(float)) \
        : "x9", "x10", "x11", "x12", "x13", "x14", MOBILEINST_VECTORS, "cc", "memory")

// The same, four rows, where a row of A is `runs` runs, each `gap` bytes after the end of the one before.
#define MOBILEINST_RUNS \
    "1: ld1 {v16.4s-v19.4s}, [%[start]]\n ld1 {v20.4s-v23.4s}, [%[start]]\n" \
    "ld1 {v24.4s-v27.4s}, [%[start]]\n ld1 {v28.4s-v31.4s}, [%[start]]\n" \
    "mov x9, %[a]\n add x10, %[a], %[lda]\n add x11, %[a], %[lda], lsl #1\n" \
    "add x12, x10, %[lda], lsl #1\n mov x13, %[panel]\n mov x15, %[runs]\n" \
    "2: mov x14, %[eights]\n cbz x14, 4f\n" \
    "3:\n" MOBILEINST_EIGHT_STEPS(MOBILEINST_ONE) \
    "subs x14, x14, #1\n b.ne 3b\n" \
    "4: mov x14, %[rest]\n cbz x14, 9f\n" \
    "5:\n" MOBILEINST_EVEN_WEIGHTS \
    "ldr s0, [x9], #4\n ldr s1, [x10], #4\n ldr s2, [x11], #4\n ldr s3, [x12], #4\n" \
    MOBILEINST_EVEN(MOBILEINST_ONE, "0", "v0", "v1", "v2", "v3") \
    "subs x14, x14, #1\n b.ne 5b\n" \
    "9: add x9, x9, %[gap]\n add x10, x10, %[gap]\n add x11, x11, %[gap]\n add x12, x12, %[gap]\n" \
    "subs x15, x15, #1\n b.ne 2b\n" \
    MOBILEINST_EPILOGUE(MOBILEINST_ONE)

/// Whether tiles_text() has text for such tiles.
template <int ROWS, int VECTORS>
constexpr bool kTileText = (ROWS == 3 || ROWS == 4) && VECTORS == 4;

/// What the text does after the sums: bits for a lower limit, an upper one and a residual.
inline size_t text_mode(const TileTarget& target) {
    return (target.activation != Activation::None ? 1 : 0) +
           (target.activation == Activation::Relu6 ? 2 : 0) + (target.residual != nullptr ? 4 : 0);
}

/// One or more tiles of ROWS rows and 16 columns below each other, from start to end.
template <int ROWS>
inline __attribute__((always_inline)) void tiles_text(const float* a, size_t lda, size_t tiles,
                                                      const float* panel, size_t k,
                                                      const TileTarget& target) {
    float* c = target.c;
    const float* residual = target.residual;
    const size_t mode = text_mode(target);
    if constexpr (ROWS == 4) {
        MOBILEINST_TILES_OF(4, MOBILEINST_ONE);
    } else {
        MOBILEINST_TILES_OF(3, MOBILEINST_NONE);
    }
}

/// The same by ROWS = 4 rows where a row of A is `runs` runs of `length` values that begin `step` values
/// apart.
template <int ROWS>
inline void tiles_of_runs_text(const float* a, size_t lda, size_t runs, size_t step, size_t length,
                               size_t tiles, const float* panel, const TileTarget& target) {
    static_assert(ROWS == 4, "no text for other tiles");
    float* c = target.c;
    const float* residual = target.residual;
    asm volatile(MOBILEINST_RUNS
                 : [a] "+r"(a), [c] "+r"(c), [residual] "+r"(residual), [tiles] "+r"(tiles)
                 : [lda] "r"(lda * sizeof(float)), [tile] "r"(ROWS * lda * sizeof(float)), [panel] "r"(panel),
                   [eights] "r"(length / 8), [rest] "r"(length % 8), [start] "r"(target.start),
                   [mode] "r"(text_mode(target)), [ldc] "r"(target.ldc * sizeof(float)),
                   [residual_ld] "r"(target.residual_ld * sizeof(float)), [runs] "r"(runs),
                   [gap] "r"((step - length) * sizeof(float))
                 : "x9", "x10", "x11", "x12", "x13", "x14", "x15", MOBILEINST_VECTORS, "cc", "memory");
}

#undef MOBILEINST_ONE
#undef MOBILEINST_NONE
#undef MOBILEINST_EVEN_WEIGHTS
#undef MOBILEINST_ODD_WEIGHTS
#undef MOBILEINST_ROW
#undef MOBILEINST_ROWS
#undef MOBILEINST_EVEN
#undef MOBILEINST_ODD
#undef MOBILEINST_EIGHT_STEPS
#undef MOBILEINST_LIMIT
#undef MOBILEINST_LIMIT_ROW
#undef MOBILEINST_LIMIT_ALL
#undef MOBILEINST_ADD_ROW
#undef MOBILEINST_EPILOGUE
#undef MOBILEINST_TILES
#undef MOBILEINST_RUNS
#undef MOBILEINST_VECTORS
#undef MOBILEINST_TILES_OF

/// acc[r] = start + sum over i < k of a[r * lda + i] * panel[i].
template <int ROWS, int VECTORS>
inline __attribute__((always_inline)) void sum_tile(const float* a, size_t lda, const float* panel, size_t k,
                                                    const Vec<float> (&start)[VECTORS],
                                                    Vec<float> (&acc)[ROWS][VECTORS]) {
    if constexpr (kTileText<ROWS, VECTORS>) {
        float sums[ROWS * VECTORS * 4];
        const TileTarget target{
            reinterpret_cast<const float*>(start), sums, VECTORS * 4, nullptr, 0, Activation::None};
        tiles_text<ROWS>(a, lda, 1, panel, k, target);
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
