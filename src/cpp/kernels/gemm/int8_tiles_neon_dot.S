// Tiles of bytes by SDOT with a lane: a vector of weights holds four values each of four columns.

#include "kernels/gemm/int8_tiles_neon.inc"

// The sums of a row += its four values in lane `lane` times the weights.
.macro multiply_row s0, s1, s2, s3, w0, w1, w2, w3, x, lane
    sdot v\s0\().4s, v\w0\().16b, v\x\().4b[\lane]
    sdot v\s1\().4s, v\w1\().16b, v\x\().4b[\lane]
    sdot v\s2\().4s, v\w2\().16b, v\x\().4b[\lane]
    sdot v\s3\().4s, v\w3\().16b, v\x\().4b[\lane]
.endm

.macro multiply_rows lane, w0, w1, w2, w3
    multiply_row 16, 17, 18, 19, \w0, \w1, \w2, \w3, 0, \lane
    multiply_row 20, 21, 22, 23, \w0, \w1, \w2, \w3, 1, \lane
    multiply_row 24, 25, 26, 27, \w0, \w1, \w2, \w3, 2, \lane
    multiply_row 28, 29, 30, 31, \w0, \w1, \w2, \w3, 3, \lane
.endm

.macro start_tile
    ld1 {v16.4s, v17.4s, v18.4s, v19.4s}, [x16]
    ld1 {v20.4s, v21.4s, v22.4s, v23.4s}, [x16]
    ld1 {v24.4s, v25.4s, v26.4s, v27.4s}, [x16]
    ld1 {v28.4s, v29.4s, v30.4s, v31.4s}, [x16]
.endm

// 16 values of each row.
.macro step
    load_weights 4, 5, 6, 7
    load_values
    load_weights 8, 9, 10, 11
    multiply_rows 0, 4, 5, 6, 7
    load_weights 4, 5, 6, 7
    multiply_rows 1, 8, 9, 10, 11
    load_weights 8, 9, 10, 11
    multiply_rows 2, 4, 5, 6, 7
    multiply_rows 3, 8, 9, 10, 11
.endm

.macro sums_of_rows
.endm

.macro by_rows store
    \store 16, 17, 18, 19
    \store 20, 21, 22, 23
    \store 24, 25, 26, 27
    \store 28, 29, 30, 31
.endm

int8_tiles mobileinst_int8_tiles_dot

no_executable_stack
