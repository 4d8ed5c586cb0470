// Rows of depthwise convolution on NEON, by strips: a few neighbouring outputs of a group of vectors of channels.
// Compilers neither load several vectors with a pointer that moves on by a register nor keep sums, weights and
// values in place.
//
//             vectors of a group   sums (pixel by pixel)   weights of a row of taps   values of a column
//   3x3       4                    v16..v31                v0..v11                    v12..v15
//   5x5       2                    v16..v31                v0..v9                     in turn v10, v12, v14 and the next
//
//   x0 mode              x5 bias              x10 bytes to the next input pixel     x15 rows of the window left
//   x1 rows of input     x6 its step          x11 groups left                       x16 strips left
//   x2 their number      x7 output            x12 wider strips                      x17 narrower strips
//   x3 offset in them    x8 bytes to the next x13 next row of input                 x19 output of the strip
//   x4 weights           x9 pixel             x14 next weights                      x20 offset of the strip

#include "kernels/function_neon.inc"

.altmacro  // arguments that begin with % are evaluated

.macro multiply sum, weight, value
    fmla v\sum\().4s, v\value\().4s, v\weight\().4s
.endm

// The sums of a pixel += the values times the weights of a tap.
.macro multiply_tap vectors, pixel, tap, value
    multiply %16 + \vectors * \pixel, %\vectors * \tap, %\value
    multiply %17 + \vectors * \pixel, %1 + \vectors * \tap, %1 + \value
    .if \vectors == 4
        multiply %18 + \vectors * \pixel, %2 + \vectors * \tap, %2 + \value
        multiply %19 + \vectors * \pixel, %3 + \vectors * \tap, %3 + \value
    .endif
.endm

.macro load_four address, step, v0, v1, v2, v3
    ld1 {v\v0\().4s, v\v1\().4s, v\v2\().4s, v\v3\().4s}, [\address], \step
.endm

.macro load_two address, step, v0, v1
    ld1 {v\v0\().4s, v\v1\().4s}, [\address], \step
.endm

.macro load_column vectors, value
    .if \vectors == 4
        load_four x9, x10, 12, 13, 14, 15
    .else
        load_two x9, x10, %\value, %1 + \value
    .endif
.endm

// One row of all windows: column after column is loaded and multiplied into the pixels that see it.
.macro window_row kernel, stride, pixels, vectors
    load_four x14, #64, 0, 1, 2, 3
    load_four x14, #64, 4, 5, 6, 7
    .if \kernel == 3
        load_four x14, #64, 8, 9, 10, 11
    .else
        load_two x14, #32, 8, 9
    .endif
    .set column, 0
    .rept (\pixels - 1) * \stride + \kernel
        .if \vectors == 4
            .set place, 12
        .else
            .set place, 10 + 2 * (column % 3)
        .endif
        load_column \vectors, %place
        .set pixel, 0
        .rept \pixels
            .set tap, column - pixel * \stride
            .if tap >= 0
                .if tap < \kernel
                    multiply_tap \vectors, %pixel, %tap, %place
                .endif
            .endif
            .set pixel, pixel + 1
        .endr
        .set column, column + 1
    .endr
.endm

.macro load_bias_four v0, v1, v2, v3
    ld1 {v\v0\().4s, v\v1\().4s, v\v2\().4s, v\v3\().4s}, [x5]
.endm

.macro load_bias_two v0, v1
    ld1 {v\v0\().4s, v\v1\().4s}, [x5]
.endm

.macro store_four v0, v1, v2, v3
    st1 {v\v0\().4s, v\v1\().4s, v\v2\().4s, v\v3\().4s}, [x19], x8
.endm

.macro store_two v0, v1
    st1 {v\v0\().4s, v\v1\().4s}, [x19], x8
.endm

// `operation`_four or _two of the sums of each pixel.
.macro each_pixel operation, pixels, vectors
    .set sum, 16
    .rept \pixels
        .if \vectors == 4
            \operation\()_four %sum, %sum + 1, %sum + 2, %sum + 3
        .else
            \operation\()_two %sum, %sum + 1
        .endif
        .set sum, sum + \vectors
    .endr
.endm

.macro limit_sum operation, sum
    \operation v\sum\().4s, v\sum\().4s, v0.4s
.endm

// `operation` of every sum with v0.
.macro limit_sums operation, count
    .set sum, 16
    .rept \count
        limit_sum \operation, %sum
        .set sum, sum + 1
    .endr
.endm

// As many strips of `pixels` outputs side by side as `count` says.
.macro strips kernel, stride, pixels, vectors, count
    cbz \count, 4f
    mov x16, \count
1:  each_pixel load_bias, \pixels, \vectors
    mov x13, x1
    mov x14, x4
    mov x15, x2
2:  ldr x9, [x13], #8
    add x9, x9, x20
    window_row \kernel, \stride, \pixels, \vectors
    subs x15, x15, #1
    b.ne 2b
    cbz x0, 3f
    movi v0.4s, #0
    limit_sums fmax, %\pixels * \vectors
    tbz x0, #1, 3f
    fmov v0.4s, #6.0
    limit_sums fmin, %\pixels * \vectors
3:  each_pixel store, \pixels, \vectors
    mov x9, #\pixels * \stride
    madd x20, x9, x10, x20
    subs x16, x16, #1
    b.ne 1b
4:
.endm

// void (const StripRow* row): for each of its groups, strips of `pixels` outputs, then strips of one less.
.macro strip_row name, kernel, stride, pixels, vectors
function \name
    save_vectors
    stp x19, x20, [sp, #-16]!
    ldp x1, x2, [x0]
    ldp x3, x4, [x0, #16]
    ldp x5, x6, [x0, #32]
    ldp x7, x8, [x0, #48]
    ldp x10, x11, [x0, #64]
    ldp x12, x17, [x0, #80]
    ldr x0, [x0, #96]
5:  mov x19, x7
    mov x20, x3
    strips \kernel, \stride, \pixels, \vectors, x12
    strips \kernel, \stride, %\pixels - 1, \vectors, x17
    add x3, x3, #16 * \vectors
    add x4, x4, #16 * \vectors * \kernel * \kernel
    add x5, x5, x6
    add x7, x7, #16 * \vectors
    subs x11, x11, #1
    b.ne 5b
    ldp x19, x20, [sp], #16
    restore_vectors
    ret
end_function \name
.endm

strip_row mobileinst_strip_row_3x3_s1_4, 3, 1, 4, 4
strip_row mobileinst_strip_row_3x3_s2_4, 3, 2, 4, 4
strip_row mobileinst_strip_row_5x5_s1_6, 5, 1, 6, 2
strip_row mobileinst_strip_row_5x5_s1_7, 5, 1, 7, 2
strip_row mobileinst_strip_row_5x5_s1_8, 5, 1, 8, 2
strip_row mobileinst_strip_row_5x5_s2_6, 5, 2, 6, 2
strip_row mobileinst_strip_row_5x5_s2_7, 5, 2, 7, 2
strip_row mobileinst_strip_row_5x5_s2_8, 5, 2, 8, 2

no_executable_stack
