// Tiles of bytes by SMMLA: a vector of weights holds eight values each of two columns, one of the input eight
// each of two rows, one of sums two columns of both.

#include "kernels/gemm/int8_tiles_neon.inc"

// The sums of two rows from v<first> on += their values times the weights of eight columns.
.macro multiply_rows s0, s1, s2, s3, x
    smmla v\s0\().4s, v\x\().16b, v4.16b
    smmla v\s1\().4s, v\x\().16b, v5.16b
    smmla v\s2\().4s, v\x\().16b, v6.16b
    smmla v\s3\().4s, v\x\().16b, v7.16b
.endm

.macro multiply_more_rows s0, s1, s2, s3, x
    smmla v\s0\().4s, v\x\().16b, v8.16b
    smmla v\s1\().4s, v\x\().16b, v9.16b
    smmla v\s2\().4s, v\x\().16b, v10.16b
    smmla v\s3\().4s, v\x\().16b, v11.16b
.endm

.macro start_tile
    ld1 {v16.4s, v17.4s, v18.4s, v19.4s}, [x16]
    ld1 {v20.4s, v21.4s, v22.4s, v23.4s}, [x4]
    ld1 {v24.4s, v25.4s, v26.4s, v27.4s}, [x16]
    ld1 {v28.4s, v29.4s, v30.4s, v31.4s}, [x4]
.endm

// 16 values of each row: v12 and v14 the first eight of two rows each, v13 and v15 the others.
.macro step
    load_values
    load_weights 4, 5, 6, 7
    zip1 v12.2d, v0.2d, v1.2d
    zip1 v14.2d, v2.2d, v3.2d
    zip2 v0.2d, v0.2d, v1.2d
    zip2 v2.2d, v2.2d, v3.2d
    load_weights 8, 9, 10, 11
    multiply_rows 16, 17, 18, 19, 12
    multiply_rows 24, 25, 26, 27, 14
    load_weights 4, 5, 6, 7
    multiply_more_rows 20, 21, 22, 23, 12
    multiply_more_rows 28, 29, 30, 31, 14
    load_weights 8, 9, 10, 11
    multiply_rows 16, 17, 18, 19, 0
    multiply_rows 24, 25, 26, 27, 2
    multiply_more_rows 20, 21, 22, 23, 0
    multiply_more_rows 28, 29, 30, 31, 2
.endm

// Two vectors of two rows' sums to `low`, which may be another, and `high`.
.macro split low, first, high
    zip1 v\low\().2d, v\first\().2d, v\high\().2d
    zip2 v\high\().2d, v\first\().2d, v\high\().2d
.endm

.macro sums_of_rows
    split 0, 16, 17
    split 16, 18, 19
    split 18, 20, 21
    split 20, 22, 23
    split 22, 24, 25
    split 24, 26, 27
    split 26, 28, 29
    split 28, 30, 31
.endm

.macro by_rows store
    \store 0, 16, 18, 20
    \store 17, 19, 21, 23
    \store 22, 24, 26, 28
    \store 25, 27, 29, 31
.endm

int8_tiles mobileinst_int8_tiles_i8mm

no_executable_stack
