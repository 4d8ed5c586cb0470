#pragma once

// Vec<T>: a register of elements, of the instruction set that the including file is compiled for. Everything
// in simd/ and in the kernels' headers for vectors has internal linkage, and uses no templates of the
// standard library: a file compiled for AVX2 must not lend its code to files that run on lesser machines.

#include "core/tier.h"

#if defined(__AVX512F__)
#include "simd/avx512.h"
#elif defined(__AVX2__)
#include "simd/avx2.h"
#elif defined(__aarch64__)
#include "simd/neon.h"
#else
#error "no vectors for this instruction set"
#endif

namespace mobileinst {
namespace {

/// What is counted on in the second-level cache of a core, in floats.
constexpr size_t kSecondCacheFloats = second_cache_bytes(kVecTier) / sizeof(float);

inline size_t smaller(size_t a, size_t b) { return a < b ? a : b; }
inline size_t larger(size_t a, size_t b) { return a > b ? a : b; }
inline size_t divide_up(size_t a, size_t b) { return (a + b - 1) / b; }
inline size_t round_up(size_t a, size_t b) { return divide_up(a, b) * b; }

}  // namespace
}  // namespace mobileinst
