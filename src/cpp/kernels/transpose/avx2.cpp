#include "core/simd_avx2.h"

namespace mobileinst {
namespace {

/// Eight rows and columns.
inline void transpose_square(const float* input, size_t input_ld, float* output, size_t output_ld) {
    __m256 pairs[8];
#pragma GCC unroll 4
    for (size_t i = 0; i < 4; ++i) {  // halves of rows i and i + 4 side by side
        const float* top = input + i * input_ld;
        const float* bottom = input + (i + 4) * input_ld;
        pairs[i] = _mm256_insertf128_ps(_mm256_castps128_ps256(_mm_loadu_ps(top)), _mm_loadu_ps(bottom), 1);
        pairs[i + 4] =
            _mm256_insertf128_ps(_mm256_castps128_ps256(_mm_loadu_ps(top + 4)), _mm_loadu_ps(bottom + 4), 1);
    }
#pragma GCC unroll 2
    for (size_t half = 0; half < 2; ++half) {
        const __m256* p = pairs + 4 * half;
        const __m256 low01 = _mm256_unpacklo_ps(p[0], p[1]), high01 = _mm256_unpackhi_ps(p[0], p[1]),
                     low23 = _mm256_unpacklo_ps(p[2], p[3]), high23 = _mm256_unpackhi_ps(p[2], p[3]);
        float* to = output + 4 * half * output_ld;
        _mm256_storeu_ps(to, _mm256_shuffle_ps(low01, low23, _MM_SHUFFLE(1, 0, 1, 0)));
        _mm256_storeu_ps(to + output_ld, _mm256_shuffle_ps(low01, low23, _MM_SHUFFLE(3, 2, 3, 2)));
        _mm256_storeu_ps(to + 2 * output_ld, _mm256_shuffle_ps(high01, high23, _MM_SHUFFLE(1, 0, 1, 0)));
        _mm256_storeu_ps(to + 3 * output_ld, _mm256_shuffle_ps(high01, high23, _MM_SHUFFLE(3, 2, 3, 2)));
    }
}

}  // namespace
}  // namespace mobileinst

#include "kernels/transpose/vector.inl.h"

namespace mobileinst {

const TransposeKernels transpose_f32_avx2 = {transpose};

}  // namespace mobileinst
