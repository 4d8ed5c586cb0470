#pragma once

// Strips that are left to the compiler (AVX2, AVX-512).

#include <cstddef>

namespace mobileinst {
namespace {

template <int KERNEL>
constexpr int kPixels = 6;
template <int KERNEL>
constexpr int kStripVectors = 1;
template <int KERNEL>
constexpr size_t kLeastTextPixels = 0;

}  // namespace
}  // namespace mobileinst

#include "kernels/depthwise/strip.inl.h"

namespace mobileinst {
namespace {

template <int KERNEL, int STRIDE, int PIXELS>
void convolve_strips_text(size_t pixels, size_t count, Strip* strip, Activation activation);

}  // namespace
}  // namespace mobileinst
