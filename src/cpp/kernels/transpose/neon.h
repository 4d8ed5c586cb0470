#pragma once

#include <initializer_list>

#include "kernels/transpose/vector.h"
#include "simd/vec.h"

namespace mobileinst {
namespace {

/// Four rows and columns.
struct Square {
    static void transpose(const float* input, size_t input_ld, float* output, size_t output_ld) {
        float32x4_t row[4];
        for (float32x4_t& r : row) {
            r = vld1q_f32(input);
            input = settled(input + input_ld);
        }
        const float32x4x2_t rows02 = vzipq_f32(row[0], row[2]), rows13 = vzipq_f32(row[1], row[3]);
        const float32x4x2_t low = vzipq_f32(rows02.val[0], rows13.val[0]);
        const float32x4x2_t high = vzipq_f32(rows02.val[1], rows13.val[1]);
        for (const float32x4_t column : {low.val[0], low.val[1], high.val[0], high.val[1]}) {
            vst1q_f32(output, column);
            output = settled(output + output_ld);
        }
    }
};

/// An image's three planes to pixels without gaps, for which NEON has an instruction.
void interleave_planes(const TransposeView& args) {
    const float* plane[3] = {args.input.data, args.input.data + args.input.ld,
                             args.input.data + 2 * args.input.ld};
    float* output = args.output.data;
    const size_t whole = args.columns() / 16 * 16;
    for (size_t column = 0; column < whole; column += 16) {
        for (size_t i = 0; i < 4; ++i, output += 12) {
            // Braces within the call would be arguments of their own to Clang's macro.
            const float32x4x3_t pixels = {vld1q_f32(plane[0] + 4 * i), vld1q_f32(plane[1] + 4 * i),
                                          vld1q_f32(plane[2] + 4 * i)};
            vst3q_f32(output, pixels);
        }
        for (const float*& p : plane) {
            p += 16;
        }
    }
    transpose_singly(args, 0, 3, whole, args.columns());
}

void transpose_neon(const TransposeArgs& args_) {
    const TransposeView args(args_);
    if (args.rows() == 3 && args.output.ld == 3) {
        interleave_planes(args);
    } else {
        transpose_by<Square>(args);
    }
}

constexpr TransposeKernels kTranspose = {transpose_neon};

}  // namespace
}  // namespace mobileinst
