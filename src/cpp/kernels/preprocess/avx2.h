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
        const __m128i bytes = _mm_loadl_epi64(reinterpret_cast<const __m128i*>(p));
        return {_mm256_cvtepi32_ps(_mm256_cvtepu8_epi32(bytes))};
    }
    static Pixel load(const float* p) { return {_mm_loadu_ps(p)}; }
    /// a + (b - a) * weight
    static Pixel mix(Pixel a, Pixel b, float weight) {
        return {_mm_fmadd_ps(_mm_sub_ps(b.v, a.v), _mm_set1_ps(weight), a.v)};
    }
    /// x * scale + shift
    static Pixel scaled(Pixel x, Pixel scale, Pixel shift) { return {_mm_fmadd_ps(x.v, scale.v, shift.v)}; }
    Pixel reversed() const { return {_mm_permute_ps(v, _MM_SHUFFLE(3, 0, 1, 2))}; }
    void store(float* p) const { _mm_storeu_ps(p, v); }
    void store_three(float* p) const { _mm_maskstore_ps(p, _mm_setr_epi32(-1, -1, -1, 0), v); }
};

constexpr PreprocessKernels kPreprocess = {preprocess_scratch_size, preprocess_run<Pixel>};

}  // namespace
}  // namespace mobileinst
