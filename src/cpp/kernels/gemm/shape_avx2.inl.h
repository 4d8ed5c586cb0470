#pragma once

// Shape of the matrix kernels' tiles: 6 x 2 sums, 2 weights and 1 value fill 15 of 16 registers.

#include "core/simd_avx2.h"
#include "core/tier.h"

namespace mobileinst {
namespace {

constexpr size_t kRowTile = 6;
constexpr size_t kPanelVectors = 2;
constexpr size_t kSecondCacheFloats = second_cache_floats(Tier::Avx2);

}  // namespace
}  // namespace mobileinst

// clang-format off: each builds on the one before
#include "core/finish.inl.h"
#include "kernels/gemm/start.inl.h"
#include "kernels/gemm/tile_broadcast.inl.h"
#include "kernels/gemm/panel.inl.h"
// clang-format on
