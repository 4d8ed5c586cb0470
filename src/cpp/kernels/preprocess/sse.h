#pragma once

#include "kernels/preprocess/vector.h"
#include "simd/vec.h"

namespace mobileinst {
namespace {

/// Four floats, of which three are a pixel's colors.
struct Pixel {
    __m128 v;

    /// As many bytes as a vector has floats.
    static Vec<float> load_bytes(const uint8_t* p) {
        int32_t four;
        __builtin_memcpy(&four, p, sizeof(four));
        const __m128i zero = _mm_setzero_si128(), wide = _mm_unpacklo_epi8(_mm_cvtsi32_si128(four), zero);
        return {_mm_cvtepi32_ps(_mm_unpacklo_epi16(wide, zero))};
    }
    static Pixel load(const float* p) { return {_mm_loadu_ps(p)}; }
    /// a + (b - a) * weight
    static Pixel mix(Pixel a, Pixel b, float weight) {
        return {_mm_add_ps(a.v, _mm_mul_ps(_mm_sub_ps(b.v, a.v), _mm_set1_ps(weight)))};
    }
    /// x * scale + shift
    static Pixel scaled(Pixel x, Pixel scale, Pixel shift) {
        return {_mm_add_ps(_mm_mul_ps(x.v, scale.v), shift.v)};
    }
    Pixel reversed() const { return {_mm_shuffle_ps(v, v, _MM_SHUFFLE(3, 0, 1, 2))}; }
    void store(float* p) const { _mm_storeu_ps(p, v); }
    void store_three(float* p) const {
        _mm_storel_pi(reinterpret_cast<__m64*>(p), v);
        _mm_store_ss(p + 2, _mm_movehl_ps(v, v));
    }
};

constexpr PreprocessKernels kPreprocess = {preprocess_scratch_size, preprocess_run<Pixel>};

}  // namespace
}  // namespace mobileinst
