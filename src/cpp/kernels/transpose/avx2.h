#pragma once

#include "kernels/transpose/vector.h"
#include "simd/vec.h"

namespace mobileinst {
namespace {

/// Eight rows and columns.
struct Square {
    static void transpose(const float* input, size_t input_ld, float* output, size_t output_ld) {
        __m256 pairs[8];
#pragma GCC unroll 4
        for (size_t i = 0; i < 4; ++i) {  // halves of rows i and i + 4 side by side
            const float* top = input + i * input_ld;
            const float* bottom = input + (i + 4) * input_ld;
            pairs[i] =
                _mm256_insertf128_ps(_mm256_castps128_ps256(_mm_loadu_ps(top)), _mm_loadu_ps(bottom), 1);
            pairs[i + 4] = _mm256_insertf128_ps(_mm256_castps128_ps256(_mm_loadu_ps(top + 4)),
                                                _mm_loadu_ps(bottom + 4), 1);
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
};

/// An image's three planes to pixels without gaps, eight pixels at a time.
void interleave_planes(const TransposeView& args) {
    const size_t whole = args.columns() / 8 * 8;
    float* to = args.output.data;
    for (size_t column = 0; column < whole; column += 8, to += 24) {
        const float* from = args.input.data + column;
        const __m256 x = _mm256_loadu_ps(from), y = _mm256_loadu_ps(from + args.input.ld),
                     z = _mm256_loadu_ps(from + 2 * args.input.ld);
        // Pixels 0 to 3 are in the lower halves, 4 to 7 in the upper ones.
        const __m256 xy = _mm256_shuffle_ps(x, y, _MM_SHUFFLE(2, 0, 2, 0)),
                     yz = _mm256_shuffle_ps(y, z, _MM_SHUFFLE(3, 1, 3, 1)),
                     zx = _mm256_shuffle_ps(z, x, _MM_SHUFFLE(3, 1, 2, 0));
        const __m256 parts[3] = {_mm256_shuffle_ps(xy, zx, _MM_SHUFFLE(2, 0, 2, 0)),
                                 _mm256_shuffle_ps(yz, xy, _MM_SHUFFLE(3, 1, 2, 0)),
                                 _mm256_shuffle_ps(zx, yz, _MM_SHUFFLE(3, 1, 3, 1))};
        for (size_t i = 0; i < 3; ++i) {
            _mm_storeu_ps(to + 4 * i, _mm256_castps256_ps128(parts[i]));
            _mm_storeu_ps(to + 12 + 4 * i, _mm256_extractf128_ps(parts[i], 1));
        }
    }
    transpose_singly(args, 0, 3, whole, args.columns());
}

void transpose_avx2(const TransposeArgs& args_) {
    const TransposeView args(args_);
    if (args.rows() == 3 && args.output.ld == 3) {
        interleave_planes(args);
    } else {
        transpose_by<Square>(args);
    }
}

constexpr TransposeKernels kTranspose = {transpose_avx2};

}  // namespace
}  // namespace mobileinst
