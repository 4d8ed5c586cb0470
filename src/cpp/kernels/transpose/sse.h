#pragma once

#include "kernels/transpose/vector.h"
#include "simd/vec.h"

namespace mobileinst {
namespace {

/// Four rows and columns.
struct Square {
    static void transpose(const float* input, size_t input_ld, float* output, size_t output_ld) {
        __m128 row[4];
#pragma GCC unroll 4
        for (size_t i = 0; i < 4; ++i) {
            row[i] = _mm_loadu_ps(input + i * input_ld);
        }
        const __m128 low01 = _mm_unpacklo_ps(row[0], row[1]), high01 = _mm_unpackhi_ps(row[0], row[1]),
                     low23 = _mm_unpacklo_ps(row[2], row[3]), high23 = _mm_unpackhi_ps(row[2], row[3]);
        _mm_storeu_ps(output, _mm_movelh_ps(low01, low23));
        _mm_storeu_ps(output + output_ld, _mm_movehl_ps(low23, low01));
        _mm_storeu_ps(output + 2 * output_ld, _mm_movelh_ps(high01, high23));
        _mm_storeu_ps(output + 3 * output_ld, _mm_movehl_ps(high23, high01));
    }
};

void transpose_sse(const TransposeArgs& args) { transpose_by<Square>(TransposeView(args)); }

constexpr TransposeKernels kTranspose = {transpose_sse};

}  // namespace
}  // namespace mobileinst
