#pragma once

// Shape of the matrix kernels' tiles: 4 x 4 sums, 8 values and 8 weights fill the 32 registers.

#include "core/simd_neon.h"
#include "core/tier.h"

namespace mobileinst {
namespace {

constexpr size_t kRowTile = 4;
constexpr size_t kPanelVectors = 4;
constexpr size_t kSecondCacheFloats = second_cache_floats(Tier::Neon);

}  // namespace
}  // namespace mobileinst

// clang-format off: each builds on the one before
#include "core/finish.inl.h"
#include "kernels/gemm/start.inl.h"
#include "kernels/gemm/tile_lane.inl.h"
#include "kernels/gemm/panel.inl.h"
// clang-format on
