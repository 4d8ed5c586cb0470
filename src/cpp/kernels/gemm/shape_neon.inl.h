#pragma once

// Shape of the matrix kernels' tiles: 8 x 2 sums, 8 values and 2 weights fill 26 of 32 registers.

#include "core/simd_neon.h"

namespace mobileinst {
namespace {

constexpr size_t kRowTile = 8;
constexpr size_t kPanelVectors = 2;
constexpr size_t kSecondCacheFloats = 1 << 17;

}  // namespace
}  // namespace mobileinst

// clang-format off: each builds on the one before
#include "core/finish.inl.h"
#include "kernels/gemm/tile_lane.inl.h"
#include "kernels/gemm/panel.inl.h"
// clang-format on
