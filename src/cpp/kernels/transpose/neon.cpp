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

const TransposeKernels transpose_f32_neon = {transpose};

}  // namespace mobileinst
