#pragma once

// Inner product of the matrix kernels by multiplication with one lane of a vector of A (NEON).

namespace mobileinst {
namespace {

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
inline __attribute__((always_inline)) void multiply_lane(const Vec (&x)[ROWS], const float* panel,
                                                         Vec (&acc)[ROWS][VECTORS]) {
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

// The tiles that do most of the work are text: compilers, given all 32 registers to allocate, move and spill
// values in the innermost loop. Sums are operands 0 to 15, values of eight steps lie in V0 to V7, weights of
// one step in V8 to V11 and of the next in V12 to V15. LAST(text) is the text in a tile of four rows, else
// nothing.
#define MOBILEINST_ONE(...) __VA_ARGS__
#define MOBILEINST_NONE(...) ""
#define MOBILEINST_EVEN_WEIGHTS "ld1 {v8.4s-v11.4s}, [x13], #64\n"
#define MOBILEINST_ODD_WEIGHTS "ld1 {v12.4s-v15.4s}, [x13], #64\n"
#define MOBILEINST_ROW(S0, S1, S2, S3, W0, W1, W2, W3, X)                \
    "fmla %" S0 ".4s, " W0 ".4s, " X "\n fmla %" S1 ".4s, " W1 ".4s, " X \
    "\n"                                                                 \
    "fmla %" S2 ".4s, " W2 ".4s, " X "\n fmla %" S3 ".4s, " W3 ".4s, " X "\n"
#define MOBILEINST_ROWS(LAST, LANE, X0, X1, X2, X3, ...)                 \
    MOBILEINST_ROW("0", "1", "2", "3", __VA_ARGS__, X0 ".s[" LANE "]")   \
    MOBILEINST_ROW("4", "5", "6", "7", __VA_ARGS__, X1 ".s[" LANE "]")   \
    MOBILEINST_ROW("8", "9", "10", "11", __VA_ARGS__, X2 ".s[" LANE "]") \
    LAST(MOBILEINST_ROW("12", "13", "14", "15", __VA_ARGS__, X3 ".s[" LANE "]"))
#define MOBILEINST_EVEN(LAST, LANE, ...) MOBILEINST_ROWS(LAST, LANE, __VA_ARGS__, "v8", "v9", "v10", "v11")
#define MOBILEINST_ODD(LAST, LANE, ...) MOBILEINST_ROWS(LAST, LANE, __VA_ARGS__, "v12", "v13", "v14", "v15")
#define MOBILEINST_TILE(LAST) \
    "ldp %q0, %q1, [%[start]]\n ldp %q2, %q3, [%[start], #32]\n"                              \
    "ldp %q4, %q5, [%[start]]\n ldp %q6, %q7, [%[start], #32]\n"                              \
    "ldp %q8, %q9, [%[start]]\n ldp %q10, %q11, [%[start], #32]\n"                            \
    LAST("ldp %q12, %q13, [%[start]]\n ldp %q14, %q15, [%[start], #32]\n")                    \
    "mov x9, %[a]\n add x10, %[a], %[lda]\n add x11, %[a], %[lda], lsl #1\n"                  \
    LAST("add x12, x10, %[lda], lsl #1\n")                                                    \
    "mov x13, %[panel]\n lsr x14, %[k], #3\n and x15, %[k], #7\n"                             \
    "cbz x14, 2f\n"                                                                           \
    "1:\n" MOBILEINST_EVEN_WEIGHTS                                                            \
    "ldp q0, q4, [x9], #32\n ldp q1, q5, [x10], #32\n ldp q2, q6, [x11], #32\n"               \
    LAST("ldp q3, q7, [x12], #32\n")                                                          \
    MOBILEINST_ODD_WEIGHTS MOBILEINST_EVEN(LAST, "0", "v0", "v1", "v2", "v3")                 \
    MOBILEINST_EVEN_WEIGHTS MOBILEINST_ODD(LAST, "1", "v0", "v1", "v2", "v3")                 \
    MOBILEINST_ODD_WEIGHTS MOBILEINST_EVEN(LAST, "2", "v0", "v1", "v2", "v3")                 \
    MOBILEINST_EVEN_WEIGHTS MOBILEINST_ODD(LAST, "3", "v0", "v1", "v2", "v3")                 \
    MOBILEINST_ODD_WEIGHTS MOBILEINST_EVEN(LAST, "0", "v4", "v5", "v6", "v7")                 \
    MOBILEINST_EVEN_WEIGHTS MOBILEINST_ODD(LAST, "1", "v4", "v5", "v6", "v7")                 \
    MOBILEINST_ODD_WEIGHTS MOBILEINST_EVEN(LAST, "2", "v4", "v5", "v6", "v7")                 \
    MOBILEINST_ODD(LAST, "3", "v4", "v5", "v6", "v7")                                         \
    "subs x14, x14, #1\n b.ne 1b\n"                                                           \
    "2: cbz x15, 4f\n"                                                                        \
    "3:\n" MOBILEINST_EVEN_WEIGHTS                                                            \
    "ldr s0, [x9], #4\n ldr s1, [x10], #4\n ldr s2, [x11], #4\n"                              \
    LAST("ldr s3, [x12], #4\n") MOBILEINST_EVEN(LAST, "0", "v0", "v1", "v2", "v3")            \
    "subs x15, x15, #1\n b.ne 3b\n"                                                           \
    "4:\n"
#define MOBILEINST_SUMS(ROW) \
    "=w"(acc[ROW][0].v), "=w"(acc[ROW][1].v), "=w"(acc[ROW][2].v), "=w"(acc[ROW][3].v)
#define MOBILEINST_ARGUMENTS \
    [a] "r"(a), [lda] "r"(lda * sizeof(float)), [panel] "r"(panel), [k] "r"(k), [start] "r"(start)
#define MOBILEINST_CHANGED                                                                                \
    "x9", "x10", "x11", "x12", "x13", "x14", "x15", "v0", "v1", "v2", "v3", "v4", "v5", "v6", "v7", "v8", \
        "v9", "v10", "v11", "v12", "v13", "v14", "v15", "cc", "memory"

/// sum_tile() for four rows.
inline __attribute__((always_inline)) void sum_whole_tile(const float* a, size_t lda, const float* panel,
                                                          size_t k, const Vec (&start)[4], Vec (&acc)[4][4]) {
    asm volatile(MOBILEINST_TILE(MOBILEINST_ONE)
                 : MOBILEINST_SUMS(0), MOBILEINST_SUMS(1), MOBILEINST_SUMS(2), MOBILEINST_SUMS(3)
                 : MOBILEINST_ARGUMENTS
                 : MOBILEINST_CHANGED);
}

/// sum_tile() for three rows.
inline __attribute__((always_inline)) void sum_whole_tile(const float* a, size_t lda, const float* panel,
                                                          size_t k, const Vec (&start)[4], Vec (&acc)[3][4]) {
    asm volatile(MOBILEINST_TILE(MOBILEINST_NONE)
                 : MOBILEINST_SUMS(0), MOBILEINST_SUMS(1), MOBILEINST_SUMS(2)
                 : MOBILEINST_ARGUMENTS
                 : MOBILEINST_CHANGED);
}

#undef MOBILEINST_ONE
#undef MOBILEINST_NONE
#undef MOBILEINST_EVEN_WEIGHTS
#undef MOBILEINST_ODD_WEIGHTS
#undef MOBILEINST_ROW
#undef MOBILEINST_ROWS
#undef MOBILEINST_EVEN
#undef MOBILEINST_ODD
#undef MOBILEINST_TILE
#undef MOBILEINST_SUMS
#undef MOBILEINST_ARGUMENTS
#undef MOBILEINST_CHANGED

/// acc[r] = start + sum over i < k of a[r * lda + i] * panel[i].
template <int ROWS, int VECTORS>
inline __attribute__((always_inline)) void sum_tile(const float* a, size_t lda, const float* panel, size_t k,
                                                    const Vec (&start)[VECTORS], Vec (&acc)[ROWS][VECTORS]) {
    if constexpr ((ROWS == 3 || ROWS == 4) && VECTORS == 4) {
        sum_whole_tile(a, lda, panel, k, start, acc);
    } else {
        start_rows(start, acc);
        multiply_tile(a, lda, panel, k, acc);
    }
}

}  // namespace
}  // namespace mobileinst
