// Tiles of the matrix product on NEON: 4 or 3 rows by 16 columns, from the bias to the stores. Compilers, given
// all 32 registers to allocate, move and spill values in the innermost loop, and know no loads and stores of
// several registers with a pointer that moves on by a register.
//
//   v16..v31  sums, four to a row
//   v0..v7    values: eight steps of row r in v<r> and v<4 + r>
//   v8..v15   weights of one step in v8..v11, of the next in v12..v15
//
//   x9..x12   rows of A        x13  panel        x14  steps        x15  runs

#include "kernels/function_neon.inc"

// The sums of a row += its value x times the weights w..w+3.
.macro multiply_row sum0, sum1, sum2, sum3, w0, w1, w2, w3, x:vararg
    fmla v\sum0\().4s, v\w0\().4s, \x
    fmla v\sum1\().4s, v\w1\().4s, \x
    fmla v\sum2\().4s, v\w2\().4s, \x
    fmla v\sum3\().4s, v\w3\().4s, \x
.endm

// One step of all rows; their values are lane `lane` of the four registers from x0 on.
.macro multiply_step rows, lane, x0, x1, x2, x3, w0, w1, w2, w3
    multiply_row 16, 17, 18, 19, \w0, \w1, \w2, \w3, v\x0\().s[\lane]
    multiply_row 20, 21, 22, 23, \w0, \w1, \w2, \w3, v\x1\().s[\lane]
    multiply_row 24, 25, 26, 27, \w0, \w1, \w2, \w3, v\x2\().s[\lane]
    .if \rows == 4
        multiply_row 28, 29, 30, 31, \w0, \w1, \w2, \w3, v\x3\().s[\lane]
    .endif
.endm

.macro even_step rows, lane, x0, x1, x2, x3
    multiply_step \rows, \lane, \x0, \x1, \x2, \x3, 8, 9, 10, 11
.endm

.macro odd_step rows, lane, x0, x1, x2, x3
    multiply_step \rows, \lane, \x0, \x1, \x2, \x3, 12, 13, 14, 15
.endm

.macro load_even_weights
    ld1 {v8.4s, v9.4s, v10.4s, v11.4s}, [x13], #64
.endm

.macro load_odd_weights
    ld1 {v12.4s, v13.4s, v14.4s, v15.4s}, [x13], #64
.endm

.macro eight_steps rows
    load_even_weights
    ldp q0, q4, [x9], #32
    ldp q1, q5, [x10], #32
    ldp q2, q6, [x11], #32
    .if \rows == 4
        ldp q3, q7, [x12], #32
    .endif
    load_odd_weights
    even_step \rows, 0, 0, 1, 2, 3
    load_even_weights
    odd_step \rows, 1, 0, 1, 2, 3
    load_odd_weights
    even_step \rows, 2, 0, 1, 2, 3
    load_even_weights
    odd_step \rows, 3, 0, 1, 2, 3
    load_odd_weights
    even_step \rows, 0, 4, 5, 6, 7
    load_even_weights
    odd_step \rows, 1, 4, 5, 6, 7
    load_odd_weights
    even_step \rows, 2, 4, 5, 6, 7
    odd_step \rows, 3, 4, 5, 6, 7
.endm

.macro one_step rows
    load_even_weights
    ldr s0, [x9], #4
    ldr s1, [x10], #4
    ldr s2, [x11], #4
    .if \rows == 4
        ldr s3, [x12], #4
    .endif
    even_step \rows, 0, 0, 1, 2, 3
.endm

.macro limit_sum operation, sum
    \operation v\sum\().4s, v\sum\().4s, v0.4s
.endm

// `operation` of every sum with v0.
.macro limit_sums rows, operation
    .irp sum, 16, 17, 18, 19, 20, 21, 22, 23, 24, 25, 26, 27
        limit_sum \operation, \sum
    .endr
    .if \rows == 4
        .irp sum, 28, 29, 30, 31
            limit_sum \operation, \sum
        .endr
    .endif
.endm

// The sums of a row += the residual at x7, which moves on by x8.
.macro add_residual sum0, sum1, sum2, sum3
    ld1 {v0.4s, v1.4s, v2.4s, v3.4s}, [x7], x8
    fadd v\sum0\().4s, v\sum0\().4s, v0.4s
    fadd v\sum1\().4s, v\sum1\().4s, v1.4s
    fadd v\sum2\().4s, v\sum2\().4s, v2.4s
    fadd v\sum3\().4s, v\sum3\().4s, v3.4s
.endm

// Bias, and addresses of the rows of A at x0, x1 bytes apart.
.macro start_tile rows
    ld1 {v16.4s, v17.4s, v18.4s, v19.4s}, [x5]
    ld1 {v20.4s, v21.4s, v22.4s, v23.4s}, [x5]
    ld1 {v24.4s, v25.4s, v26.4s, v27.4s}, [x5]
    .if \rows == 4
        ld1 {v28.4s, v29.4s, v30.4s, v31.4s}, [x5]
    .endif
    mov x9, x0
    add x10, x0, x1
    add x11, x0, x1, lsl #1
    .if \rows == 4
        add x12, x10, x1, lsl #1
    .endif
    mov x13, x3
.endm

// Activation and residual by the bits of x17 (TileTarget::mode), then the stores to x6, x16 bytes apart.
.macro finish_tile rows
    cbz x17, 8f
    tbz x17, #0, 7f
    movi v0.4s, #0
    limit_sums \rows, fmax
    tbz x17, #1, 7f
    fmov v0.4s, #6.0
    limit_sums \rows, fmin
7:  tbz x17, #2, 8f
    add_residual 16, 17, 18, 19
    add_residual 20, 21, 22, 23
    add_residual 24, 25, 26, 27
    .if \rows == 4
        add_residual 28, 29, 30, 31
    .endif
8:  st1 {v16.4s, v17.4s, v18.4s, v19.4s}, [x6], x16
    st1 {v20.4s, v21.4s, v22.4s, v23.4s}, [x6], x16
    st1 {v24.4s, v25.4s, v26.4s, v27.4s}, [x6], x16
    .if \rows == 4
        st1 {v28.4s, v29.4s, v30.4s, v31.4s}, [x6], x16
        add x0, x0, x1, lsl #2
    .else
        add x0, x0, x1, lsl #1
        add x0, x0, x1
    .endif
.endm

// TileTarget at x5: x5 start, x6 c, x16 its row step, x7 residual, x8 its row step, x17 mode.
.macro load_target
    ldp x16, x7, [x5, #16]
    ldp x8, x17, [x5, #32]
    ldp x5, x6, [x5]
.endm

// void (const float* a, size_t row_step, size_t tiles, const float* panel, size_t k, const TileTarget* target)
// `tiles` > 0 below each other.
.macro gemm_tiles name, rows
function \name
    save_vectors
    load_target
    lsr x15, x4, #4
    and x4, x4, #15
1:  start_tile \rows
    mov x14, x15
    cbz x14, 3f
2:  eight_steps \rows
    eight_steps \rows
    subs x14, x14, #1
    b.ne 2b
3:  cbz x4, 6f
    tbz x4, #3, 4f
    eight_steps \rows
4:  ands x14, x4, #7
    b.eq 6f
5:  one_step \rows
    subs x14, x14, #1
    b.ne 5b
6:  finish_tile \rows
    subs x2, x2, #1
    b.ne 1b
    restore_vectors
    ret
end_function \name
.endm

gemm_tiles mobileinst_gemm_tiles_4, 4
gemm_tiles mobileinst_gemm_tiles_3, 3

// void (const float* a, size_t row_step, size_t tiles, const float* panel, size_t length, const TileTarget* target,
//       size_t runs, size_t gap)
// The same by four rows, where a row of A is `runs` runs of `length` values, each `gap` bytes after the end of
// the one before.
function mobileinst_gemm_tiles_of_runs_4
    save_vectors
    stp x19, x20, [sp, #-32]!
    stp x21, x22, [sp, #16]
    mov x19, x6
    mov x20, x7
    load_target
    lsr x21, x4, #3
    and x4, x4, #7
1:  start_tile 4
    mov x15, x19
2:  mov x14, x21
    cbz x14, 4f
3:  eight_steps 4
    subs x14, x14, #1
    b.ne 3b
4:  mov x14, x4
    cbz x14, 9f
5:  one_step 4
    subs x14, x14, #1
    b.ne 5b
9:  add x9, x9, x20
    add x10, x10, x20
    add x11, x11, x20
    add x12, x12, x20
    subs x15, x15, #1
    b.ne 2b
    finish_tile 4
    subs x2, x2, #1
    b.ne 1b
    ldp x21, x22, [sp, #16]
    ldp x19, x20, [sp], #32
    restore_vectors
    ret
end_function mobileinst_gemm_tiles_of_runs_4

no_executable_stack
