#pragma once

// Vectors of bytes and of sums of their products, of the instruction set that the including file is compiled
// for, by the same names:
//   CopiedByte, CopiedWeight  what dot() multiplies: bytes, or 16-bit integers where there is no dot product
//                             of bytes
//   kByteShift                what copy_bytes() adds to each byte: products may be of unsigned values with
//                             signed weights
//   Bytes, Sums, Floats       a register of each; Shorts on x86
//   dot(), copy_bytes(), scaled(), rounded(), ByteTable

#if defined(__AVX512VNNI__)
#include "simd/bytes_avx512_vnni.h"
#elif defined(__AVX2__)
#include "simd/bytes_avx2.h"
#elif defined(__ARM_FEATURE_DOTPROD)
#include "simd/bytes_neon_dot.h"
#else
#error "no vectors of bytes for this instruction set"
#endif

namespace mobileinst {
namespace {

/// Values that dot() adds the products of to a sum.
constexpr size_t kDotGroup = sizeof(int32_t) / sizeof(CopiedByte);

}  // namespace
}  // namespace mobileinst
