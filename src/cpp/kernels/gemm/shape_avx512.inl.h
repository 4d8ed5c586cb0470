#pragma once

// Shape of the matrix kernels' tiles: 12 x 2 sums, 2 weights and 1 value fill 27 of 32 registers.

#include "core/simd_avx512.h"
#include "core/tier.h"

namespace mobileinst {
namespace {

constexpr size_t kRowTile = 12;
constexpr size_t kPanelVectors = 2;
constexpr size_t kSecondCacheFloats = second_cache_floats(Tier::Avx512);

}  // namespace
}  // namespace mobileinst

// clang-format off: each builds on the one before
#include "core/finish.inl.h"
#include "kernels/gemm/start.inl.h"
#include "kernels/gemm/tile_broadcast.inl.h"
#include "kernels/gemm/panel.inl.h"
// clang-format on
