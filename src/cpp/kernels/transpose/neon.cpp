#include "core/simd_neon.h"

namespace mobileinst {
namespace {

/// Four rows and columns.
inline void transpose_square(const float* input, size_t input_ld, float* output, size_t output_ld) {
    const float32x4x2_t rows02 = vzipq_f32(vld1q_f32(input), vld1q_f32(input + 2 * input_ld));
    const float32x4x2_t rows13 = vzipq_f32(vld1q_f32(input + input_ld), vld1q_f32(input + 3 * input_ld));
    const float32x4x2_t low = vzipq_f32(rows02.val[0], rows13.val[0]);
    const float32x4x2_t high = vzipq_f32(rows02.val[1], rows13.val[1]);
    vst1q_f32(output, low.val[0]);
    vst1q_f32(output + output_ld, low.val[1]);
    vst1q_f32(output + 2 * output_ld, high.val[0]);
    vst1q_f32(output + 3 * output_ld, high.val[1]);
}

}  // namespace
}  // namespace mobileinst

#include "kernels/transpose/vector.inl.h"

namespace mobileinst {
namespace {

/// An image's three planes to pixels without gaps, for which NEON has an instruction.
void interleave_planes(const TransposeArgs& args) {
    const float* plane[3] = {args.input, args.input + args.input_ld, args.input + 2 * args.input_ld};
    float* output = args.output;
    const size_t whole = args.columns / 16 * 16;
    for (size_t column = 0; column < whole; column += 16) {
        for (size_t i = 0; i < 4; ++i, output += 12) {
            vst3q_f32(output, {vld1q_f32(plane[0] + 4 * i), vld1q_f32(plane[1] + 4 * i),
                               vld1q_f32(plane[2] + 4 * i)});
        }
        for (const float*& p : plane) {
            p += 16;
        }
    }
    transpose_singly(args, 0, 3, whole, args.columns);
}

void transpose_neon(const TransposeArgs& args) {
    if (args.rows == 3 && args.output_ld == 3) {
        interleave_planes(args);
    } else {
        transpose(args);
    }
}

}  // namespace

const TransposeKernels transpose_f32_neon = {transpose_neon};

}  // namespace mobileinst
