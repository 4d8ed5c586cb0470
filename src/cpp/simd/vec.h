#pragma once

// Vec<T>: a register of elements, of the instruction set that the including file is compiled for. Everything
// in simd/ and in the kernels' headers for vectors has internal linkage, and uses no templates of the
// standard library: a file compiled for AVX2 must not lend its code to files that run on lesser machines.
//
// Element is what the file's kernels compute with: Half where the build defines MOBILEINST_HALF for it
// (cmake/instruction_sets.cmake), else float. Vec<float> is there in any case.

#include "core/dtype.h"
#include "core/half.h"
#include "core/tier.h"

#if defined(__AVX512F__)
#include "simd/avx512.h"
#elif defined(__AVX2__)
#include "simd/avx2.h"
#elif defined(__x86_64__)
#include "simd/sse.h"
#elif defined(__ARM_NEON)
#include "simd/neon.h"
#else
#error "no vectors for this instruction set"
#endif

#if defined(MOBILEINST_HALF) && defined(__aarch64__)
#include "simd/neon_fp16.h"
#elif defined(MOBILEINST_HALF)
#include "simd/f16c.h"
#endif

namespace mobileinst {
namespace {

#if defined(MOBILEINST_HALF)
using Element = Half;
constexpr DType kElementType = DType::Float16;

/// As many halves as a vector holds floats, or only the first `count` (the others 0) where there are fewer.
inline Vec<float> load_floats(const Half* p, size_t count) {
    if (count >= Vec<float>::kWidth) {
        return load_floats(p);
    }
    Half lanes[Vec<float>::kWidth] = {};
    for (size_t i = 0; i < count; ++i) {
        lanes[i] = p[i];
    }
    return load_floats(lanes);
}

/// Floats rounded to halves, or only the first `count` where there are fewer.
inline void store_floats(Vec<float> x, Half* p, size_t count) {
    if (count >= Vec<float>::kWidth) {
        return store_floats(x, p);
    }
    Half lanes[Vec<float>::kWidth];
    store_floats(x, lanes);
    for (size_t i = 0; i < count; ++i) {
        p[i] = lanes[i];
    }
}
#else
using Element = float;
constexpr DType kElementType = DType::Float32;

// Elements as floats and back, for sums that need more than half precision.
inline Vec<float> load_floats(const float* p) { return Vec<float>::load(p); }
inline Vec<float> load_floats(const float* p, size_t count) { return Vec<float>::load_up_to(p, count); }
inline void store_floats(Vec<float> x, float* p) { x.store(p); }
inline void store_floats(Vec<float> x, float* p, size_t count) { x.store_up_to(p, count); }
#endif

/// Bytes of memory that a vector of elements fills.
constexpr size_t kVecBytes = Vec<Element>::kWidth * sizeof(Element);
/// What is counted on in the second-level cache of a core, in elements.
constexpr size_t kSecondCacheElements = second_cache_bytes(kVecTier) / sizeof(Element);

inline size_t smaller(size_t a, size_t b) { return a < b ? a : b; }
inline size_t larger(size_t a, size_t b) { return a > b ? a : b; }
inline size_t divide_up(size_t a, size_t b) { return (a + b - 1) / b; }
inline size_t round_up(size_t a, size_t b) { return divide_up(a, b) * b; }

}  // namespace
}  // namespace mobileinst
