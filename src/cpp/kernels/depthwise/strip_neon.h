#pragma once

// Strips on NEON. Those that do most of the work are text, since compilers neither load several vectors with
// a pointer that moves on by a register nor keep sums, weights and values in place. A strip of 3x3 windows
// has four vectors of channels: sums of pixels in V16 to V31, weights of a row of taps in V0 to V11, values
// in V12 to V15. A strip of 5x5 windows has two: sums in V16 to V31, weights in V0 to V9, values in turn in
// V10 to V15.

#include "kernels/depthwise/strip.h"

namespace mobileinst {
namespace {

/// All of convolve_strip() for a whole group without residual, HardSigmoid and columns outside; moves output
/// and offset on to the next strip.
template <int KERNEL, int STRIDE, int PIXELS>
void convolve_strip_text(Strip* strip, Activation activation);

#define MOBILEINST_YES(...) __VA_ARGS__
#define MOBILEINST_NO(...) ""
#define MOBILEINST_FMLA(SUM, WEIGHT, VALUE) "fmla v" #SUM ".4s, v" #VALUE ".4s, v" #WEIGHT ".4s\n"

// 3x3: NEXT loads a column's values, Pi(t) adds their products with tap t to pixel i. LAST(text) is the text
// in a strip of four pixels, nothing in one of three.
#define MOBILEINST_NEXT "ld1 {v12.4s-v15.4s}, [x9], %[step]\n"
#define MOBILEINST_TAP(S0, S1, S2, S3, W0, W1, W2, W3) \
    MOBILEINST_FMLA(S0, W0, 12)                        \
    MOBILEINST_FMLA(S1, W1, 13) MOBILEINST_FMLA(S2, W2, 14) MOBILEINST_FMLA(S3, W3, 15)
#define MOBILEINST_TAP0(...) MOBILEINST_TAP(__VA_ARGS__, 0, 1, 2, 3)
#define MOBILEINST_TAP1(...) MOBILEINST_TAP(__VA_ARGS__, 4, 5, 6, 7)
#define MOBILEINST_TAP2(...) MOBILEINST_TAP(__VA_ARGS__, 8, 9, 10, 11)
#define MOBILEINST_P0(T) MOBILEINST_TAP##T(16, 17, 18, 19)
#define MOBILEINST_P1(T) MOBILEINST_TAP##T(20, 21, 22, 23)
#define MOBILEINST_P2(T) MOBILEINST_TAP##T(24, 25, 26, 27)
#define MOBILEINST_P3(T) MOBILEINST_TAP##T(28, 29, 30, 31)
#define MOBILEINST_WEIGHTS3                                                         \
    "ld1 {v0.4s-v3.4s}, [%[weights]], #64\n ld1 {v4.4s-v7.4s}, [%[weights]], #64\n" \
    "ld1 {v8.4s-v11.4s}, [%[weights]], #64\n"
#define MOBILEINST_ROW31(LAST)                                                                              \
    MOBILEINST_WEIGHTS3                                                                                     \
    MOBILEINST_NEXT MOBILEINST_P0(0) MOBILEINST_NEXT MOBILEINST_P0(1) MOBILEINST_P1(0)                      \
        MOBILEINST_NEXT MOBILEINST_P0(2) MOBILEINST_P1(1) MOBILEINST_P2(0) MOBILEINST_NEXT MOBILEINST_P1(2) \
            MOBILEINST_P2(1) LAST(MOBILEINST_P3(0)) MOBILEINST_NEXT MOBILEINST_P2(2) LAST(MOBILEINST_P3(1)) \
                LAST(MOBILEINST_NEXT MOBILEINST_P3(2))
#define MOBILEINST_ROW32(LAST)                                                                              \
    MOBILEINST_WEIGHTS3                                                                                     \
    MOBILEINST_NEXT MOBILEINST_P0(0) MOBILEINST_NEXT MOBILEINST_P0(1) MOBILEINST_NEXT MOBILEINST_P0(2)      \
        MOBILEINST_P1(0) MOBILEINST_NEXT MOBILEINST_P1(1) MOBILEINST_NEXT MOBILEINST_P1(2) MOBILEINST_P2(0) \
            MOBILEINST_NEXT MOBILEINST_P2(1) MOBILEINST_NEXT MOBILEINST_P2(2) LAST(MOBILEINST_P3(0))        \
                LAST(MOBILEINST_NEXT MOBILEINST_P3(1) MOBILEINST_NEXT MOBILEINST_P3(2))
#define MOBILEINST_START3(LAST)                                         \
    "ld1 {v16.4s-v19.4s}, [%[bias]]\n ld1 {v20.4s-v23.4s}, [%[bias]]\n" \
    "ld1 {v24.4s-v27.4s}, [%[bias]]\n" LAST("ld1 {v28.4s-v31.4s}, [%[bias]]\n")
#define MOBILEINST_SUMS3(OP, LAST) \
    OP(16)                         \
    OP(17)                         \
    OP(18) OP(19) OP(20) OP(21) OP(22) OP(23) OP(24) OP(25) OP(26) OP(27) LAST(OP(28) OP(29) OP(30) OP(31))
#define MOBILEINST_STORE3(LAST)                                                                       \
    "st1 {v16.4s-v19.4s}, [%[output]], %[out_step]\n st1 {v20.4s-v23.4s}, [%[output]], %[out_step]\n" \
    "st1 {v24.4s-v27.4s}, [%[output]], %[out_step]\n" LAST(                                           \
        "st1 {v28.4s-v31.4s}, [%[output]], %[out_step]\n")

// 5x5: NEXT(x) loads a column's values to place x, Qi(t, x) adds their products with tap t to pixel i.
// ONi(text) is the text in a strip of i pixels or more.
#define MOBILEINST_PLACE_A 10, 11
#define MOBILEINST_PLACE_B 12, 13
#define MOBILEINST_PLACE_C 14, 15
#define MOBILEINST_LOAD(X0, X1) "ld1 {v" #X0 ".4s-v" #X1 ".4s}, [x9], %[step]\n"
#define MOBILEINST_LOAD_TO(...) MOBILEINST_LOAD(__VA_ARGS__)
#define MOBILEINST_N(X) MOBILEINST_LOAD_TO(MOBILEINST_PLACE_##X)
#define MOBILEINST_PAIR(X0, X1, S0, S1, W0, W1) MOBILEINST_FMLA(S0, W0, X0) MOBILEINST_FMLA(S1, W1, X1)
#define MOBILEINST_PAIR0(...) MOBILEINST_PAIR(__VA_ARGS__, 0, 1)
#define MOBILEINST_PAIR1(...) MOBILEINST_PAIR(__VA_ARGS__, 2, 3)
#define MOBILEINST_PAIR2(...) MOBILEINST_PAIR(__VA_ARGS__, 4, 5)
#define MOBILEINST_PAIR3(...) MOBILEINST_PAIR(__VA_ARGS__, 6, 7)
#define MOBILEINST_PAIR4(...) MOBILEINST_PAIR(__VA_ARGS__, 8, 9)
#define MOBILEINST_Q0(T, X) MOBILEINST_PAIR##T(MOBILEINST_PLACE_##X, 16, 17)
#define MOBILEINST_Q1(T, X) MOBILEINST_PAIR##T(MOBILEINST_PLACE_##X, 18, 19)
#define MOBILEINST_Q2(T, X) MOBILEINST_PAIR##T(MOBILEINST_PLACE_##X, 20, 21)
#define MOBILEINST_Q3(T, X) MOBILEINST_PAIR##T(MOBILEINST_PLACE_##X, 22, 23)
#define MOBILEINST_Q4(T, X) MOBILEINST_PAIR##T(MOBILEINST_PLACE_##X, 24, 25)
#define MOBILEINST_Q5(T, X) MOBILEINST_PAIR##T(MOBILEINST_PLACE_##X, 26, 27)
#define MOBILEINST_Q6(T, X) MOBILEINST_PAIR##T(MOBILEINST_PLACE_##X, 28, 29)
#define MOBILEINST_Q7(T, X) MOBILEINST_PAIR##T(MOBILEINST_PLACE_##X, 30, 31)
#define MOBILEINST_WEIGHTS5                                                         \
    "ld1 {v0.4s-v3.4s}, [%[weights]], #64\n ld1 {v4.4s-v7.4s}, [%[weights]], #64\n" \
    "ld1 {v8.4s-v9.4s}, [%[weights]], #32\n"
// clang-format off: a column in a line
#define MOBILEINST_ROW51(ON6, ON7, ON8)                                                                     \
    MOBILEINST_WEIGHTS5                                                                                     \
    MOBILEINST_N(A) MOBILEINST_Q0(0, A)                                                                     \
    MOBILEINST_N(B) MOBILEINST_Q0(1, B) MOBILEINST_Q1(0, B)                                                 \
    MOBILEINST_N(C) MOBILEINST_Q0(2, C) MOBILEINST_Q1(1, C) MOBILEINST_Q2(0, C)                             \
    MOBILEINST_N(A) MOBILEINST_Q0(3, A) MOBILEINST_Q1(2, A) MOBILEINST_Q2(1, A) MOBILEINST_Q3(0, A)         \
    MOBILEINST_N(B) MOBILEINST_Q0(4, B) MOBILEINST_Q1(3, B) MOBILEINST_Q2(2, B) MOBILEINST_Q3(1, B)         \
        MOBILEINST_Q4(0, B)                                                                                 \
    MOBILEINST_N(C) MOBILEINST_Q1(4, C) MOBILEINST_Q2(3, C) MOBILEINST_Q3(2, C) MOBILEINST_Q4(1, C)         \
        ON6(MOBILEINST_Q5(0, C))                                                                            \
    MOBILEINST_N(A) MOBILEINST_Q2(4, A) MOBILEINST_Q3(3, A) MOBILEINST_Q4(2, A)                             \
        ON6(MOBILEINST_Q5(1, A)) ON7(MOBILEINST_Q6(0, A))                                                   \
    MOBILEINST_N(B) MOBILEINST_Q3(4, B) MOBILEINST_Q4(3, B) ON6(MOBILEINST_Q5(2, B))                        \
        ON7(MOBILEINST_Q6(1, B)) ON8(MOBILEINST_Q7(0, B))                                                   \
    MOBILEINST_N(C) MOBILEINST_Q4(4, C) ON6(MOBILEINST_Q5(3, C)) ON7(MOBILEINST_Q6(2, C))                   \
        ON8(MOBILEINST_Q7(1, C))                                                                            \
    ON6(MOBILEINST_N(A) MOBILEINST_Q5(4, A)) ON7(MOBILEINST_Q6(3, A)) ON8(MOBILEINST_Q7(2, A))              \
    ON7(MOBILEINST_N(B) MOBILEINST_Q6(4, B)) ON8(MOBILEINST_Q7(3, B))                                       \
    ON8(MOBILEINST_N(C) MOBILEINST_Q7(4, C))
#define MOBILEINST_ROW52(ON6, ON7, ON8)                                                                     \
    MOBILEINST_WEIGHTS5                                                                                     \
    MOBILEINST_N(A) MOBILEINST_Q0(0, A)                                                                     \
    MOBILEINST_N(B) MOBILEINST_Q0(1, B)                                                                     \
    MOBILEINST_N(C) MOBILEINST_Q0(2, C) MOBILEINST_Q1(0, C)                                                 \
    MOBILEINST_N(A) MOBILEINST_Q0(3, A) MOBILEINST_Q1(1, A)                                                 \
    MOBILEINST_N(B) MOBILEINST_Q0(4, B) MOBILEINST_Q1(2, B) MOBILEINST_Q2(0, B)                             \
    MOBILEINST_N(C) MOBILEINST_Q1(3, C) MOBILEINST_Q2(1, C)                                                 \
    MOBILEINST_N(A) MOBILEINST_Q1(4, A) MOBILEINST_Q2(2, A) MOBILEINST_Q3(0, A)                             \
    MOBILEINST_N(B) MOBILEINST_Q2(3, B) MOBILEINST_Q3(1, B)                                                 \
    MOBILEINST_N(C) MOBILEINST_Q2(4, C) MOBILEINST_Q3(2, C) MOBILEINST_Q4(0, C)                             \
    MOBILEINST_N(A) MOBILEINST_Q3(3, A) MOBILEINST_Q4(1, A)                                                 \
    MOBILEINST_N(B) MOBILEINST_Q3(4, B) MOBILEINST_Q4(2, B) ON6(MOBILEINST_Q5(0, B))                        \
    MOBILEINST_N(C) MOBILEINST_Q4(3, C) ON6(MOBILEINST_Q5(1, C))                                            \
    MOBILEINST_N(A) MOBILEINST_Q4(4, A) ON6(MOBILEINST_Q5(2, A)) ON7(MOBILEINST_Q6(0, A))                   \
    ON6(MOBILEINST_N(B) MOBILEINST_Q5(3, B)) ON7(MOBILEINST_Q6(1, B))                                       \
    ON6(MOBILEINST_N(C) MOBILEINST_Q5(4, C)) ON7(MOBILEINST_Q6(2, C)) ON8(MOBILEINST_Q7(0, C))              \
    ON7(MOBILEINST_N(A) MOBILEINST_Q6(3, A)) ON8(MOBILEINST_Q7(1, A))                                       \
    ON7(MOBILEINST_N(B) MOBILEINST_Q6(4, B)) ON8(MOBILEINST_Q7(2, B))                                       \
    ON8(MOBILEINST_N(C) MOBILEINST_Q7(3, C))                                                                \
    ON8(MOBILEINST_N(A) MOBILEINST_Q7(4, A))
// clang-format on
#define MOBILEINST_BIAS5(S0, S1) "ld1 {v" #S0 ".4s-v" #S1 ".4s}, [%[bias]]\n"
#define MOBILEINST_START5(ON6, ON7, ON8) \
    MOBILEINST_BIAS5(16, 17)             \
    MOBILEINST_BIAS5(18, 19)             \
    MOBILEINST_BIAS5(20, 21)             \
    MOBILEINST_BIAS5(22, 23)             \
    MOBILEINST_BIAS5(24, 25)             \
    ON6(MOBILEINST_BIAS5(26, 27)) ON7(MOBILEINST_BIAS5(28, 29)) ON8(MOBILEINST_BIAS5(30, 31))
#define MOBILEINST_SUMS5(OP, ON6, ON7, ON8) \
    OP(16)                                  \
    OP(17)                                  \
    OP(18)                                  \
    OP(19) OP(20) OP(21) OP(22) OP(23) OP(24) OP(25) ON6(OP(26) OP(27)) ON7(OP(28) OP(29)) ON8(OP(30) OP(31))
#define MOBILEINST_OUT5(S0, S1) "st1 {v" #S0 ".4s-v" #S1 ".4s}, [%[output]], %[out_step]\n"
#define MOBILEINST_STORE5(ON6, ON7, ON8) \
    MOBILEINST_OUT5(16, 17)              \
    MOBILEINST_OUT5(18, 19)              \
    MOBILEINST_OUT5(20, 21)              \
    MOBILEINST_OUT5(22, 23)              \
    MOBILEINST_OUT5(24, 25)              \
    ON6(MOBILEINST_OUT5(26, 27)) ON7(MOBILEINST_OUT5(28, 29)) ON8(MOBILEINST_OUT5(30, 31))

#define MOBILEINST_AT_LEAST(SUM) "fmax v" #SUM ".4s, v" #SUM ".4s, v0.4s\n"
#define MOBILEINST_AT_MOST(SUM) "fmin v" #SUM ".4s, v" #SUM ".4s, v0.4s\n"
/// The arguments after PIXELS say of which pixels there is text.
#define MOBILEINST_STRIP(KERNEL, STRIDE, PIXELS, ...)                                                         \
    template <>                                                                                               \
    inline void convolve_strip_text<KERNEL, STRIDE, PIXELS>(Strip * strip, Activation activation) {           \
        const float* const* rows = strip->rows;                                                               \
        const float* weights = strip->weights;                                                                \
        float* output = strip->output;                                                                        \
        size_t count = strip->row_count;                                                                      \
        asm volatile(MOBILEINST_START##KERNEL(__VA_ARGS__)                                                  \
                     "1: ldr x9, [%[rows]], #8\n add x9, x9, %[offset]\n"                                   \
                     MOBILEINST_ROW##KERNEL##STRIDE(__VA_ARGS__)                                            \
                     "subs %[count], %[count], #1\n b.ne 1b\n"                                              \
                     "cbz %w[activation], 2f\n movi v0.4s, #0\n"                                            \
                     MOBILEINST_SUMS##KERNEL(MOBILEINST_AT_LEAST, __VA_ARGS__)                              \
                     "cmp %w[activation], %[relu6]\n b.ne 2f\n fmov v0.4s, #6.0\n"                          \
                     MOBILEINST_SUMS##KERNEL(MOBILEINST_AT_MOST, __VA_ARGS__)                               \
                     "2:\n" MOBILEINST_STORE##KERNEL(__VA_ARGS__)                                           \
                     : [rows] "+r"(rows), [weights] "+r"(weights), [output] "+r"(output), [count] "+r"(count) \
                     : [bias] "r"(strip->bias), [offset] "r"(strip->offset * sizeof(float)),                  \
                       [step] "r"(strip->input_ld * sizeof(float)),                                          \
                       [out_step] "r"(strip->output_ld * sizeof(float)), [activation] "r"(activation),       \
                       [relu6] "i"(Activation::Relu6)                                                       \
                     : "x9", "v0", "v1", "v2", "v3", "v4", "v5", "v6", "v7", "v8", "v9", "v10", "v11",      \
                       "v12", "v13", "v14", "v15", "v16", "v17", "v18", "v19", "v20", "v21", "v22", "v23",  \
                       "v24", "v25", "v26", "v27", "v28", "v29", "v30", "v31", "cc", "memory"); \
        strip->output = output;                                                                               \
        strip->offset += static_cast<ptrdiff_t>(PIXELS * STRIDE * strip->input_ld);                           \
    }

MOBILEINST_STRIP(3, 1, 3, MOBILEINST_NO)
MOBILEINST_STRIP(3, 1, 4, MOBILEINST_YES)
MOBILEINST_STRIP(3, 2, 3, MOBILEINST_NO)
MOBILEINST_STRIP(3, 2, 4, MOBILEINST_YES)
MOBILEINST_STRIP(5, 1, 5, MOBILEINST_NO, MOBILEINST_NO, MOBILEINST_NO)
MOBILEINST_STRIP(5, 1, 6, MOBILEINST_YES, MOBILEINST_NO, MOBILEINST_NO)
MOBILEINST_STRIP(5, 1, 7, MOBILEINST_YES, MOBILEINST_YES, MOBILEINST_NO)
MOBILEINST_STRIP(5, 1, 8, MOBILEINST_YES, MOBILEINST_YES, MOBILEINST_YES)
MOBILEINST_STRIP(5, 2, 5, MOBILEINST_NO, MOBILEINST_NO, MOBILEINST_NO)
MOBILEINST_STRIP(5, 2, 6, MOBILEINST_YES, MOBILEINST_NO, MOBILEINST_NO)
MOBILEINST_STRIP(5, 2, 7, MOBILEINST_YES, MOBILEINST_YES, MOBILEINST_NO)
MOBILEINST_STRIP(5, 2, 8, MOBILEINST_YES, MOBILEINST_YES, MOBILEINST_YES)

#undef MOBILEINST_YES
#undef MOBILEINST_NO
#undef MOBILEINST_FMLA
#undef MOBILEINST_NEXT
#undef MOBILEINST_TAP
#undef MOBILEINST_TAP0
#undef MOBILEINST_TAP1
#undef MOBILEINST_TAP2
#undef MOBILEINST_P0
#undef MOBILEINST_P1
#undef MOBILEINST_P2
#undef MOBILEINST_P3
#undef MOBILEINST_WEIGHTS3
#undef MOBILEINST_ROW31
#undef MOBILEINST_ROW32
#undef MOBILEINST_START3
#undef MOBILEINST_SUMS3
#undef MOBILEINST_STORE3
#undef MOBILEINST_PLACE_A
#undef MOBILEINST_PLACE_B
#undef MOBILEINST_PLACE_C
#undef MOBILEINST_LOAD
#undef MOBILEINST_LOAD_TO
#undef MOBILEINST_N
#undef MOBILEINST_PAIR
#undef MOBILEINST_PAIR0
#undef MOBILEINST_PAIR1
#undef MOBILEINST_PAIR2
#undef MOBILEINST_PAIR3
#undef MOBILEINST_PAIR4
#undef MOBILEINST_Q0
#undef MOBILEINST_Q1
#undef MOBILEINST_Q2
#undef MOBILEINST_Q3
#undef MOBILEINST_Q4
#undef MOBILEINST_Q5
#undef MOBILEINST_Q6
#undef MOBILEINST_Q7
#undef MOBILEINST_WEIGHTS5
#undef MOBILEINST_ROW51
#undef MOBILEINST_ROW52
#undef MOBILEINST_BIAS5
#undef MOBILEINST_START5
#undef MOBILEINST_SUMS5
#undef MOBILEINST_OUT5
#undef MOBILEINST_STORE5
#undef MOBILEINST_AT_LEAST
#undef MOBILEINST_AT_MOST
#undef MOBILEINST_STRIP

template <int KERNEL, int STRIDE, int PIXELS>
inline void convolve_strips_text(size_t pixels, size_t count, Strip* strip, Activation activation) {
    if constexpr (PIXELS > kLeastTextPixels<KERNEL>) {
        if (pixels < PIXELS) {
            return convolve_strips_text<KERNEL, STRIDE, PIXELS - 1>(pixels, count, strip, activation);
        }
    }
    for (; count > 0; --count) {
        convolve_strip_text<KERNEL, STRIDE, PIXELS>(strip, activation);
    }
}

}  // namespace
}  // namespace mobileinst
