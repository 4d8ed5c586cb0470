#pragma once

#include <cstddef>
#include <cstdint>

namespace mobileinst {

/// The arrays of a Requantisation go on with zeros for at least twice as many channels.
constexpr size_t kRequantisedTogether = 64;

/// What int8 convolutions do with a sum s of products of integers, for an output channel c:
///   v = (s + offset[c]) * scale[c] + shift[c], the product and the sum rounded once.
/// Floats and halves: y = v within [low, high], or the epilogue's activation where that is more than limits,
///   rounded if it is a half, + residual, rounded.
/// Integers, with round() to the nearest in [-128, 127], of two the even one:
///   with a table: t = table[256 + v rounded within [-256, 255]], and without residual y = t
///   without:      t = v
///   y = round(t * own + (r * residual + residual_shift)), r being the residual's integer; or round(v).
/// The operations are IEEE's, in this order, so that every tier gives the same bits, but for floats behind an
/// exponential or a division.
struct Requantisation {
    const int32_t* offset = nullptr;  ///< what the zero of the input adds to s, taken away
    const float* scale = nullptr;
    const float* shift = nullptr;
    const int8_t* table = nullptr;  ///< (512,), with kTableSlack bytes behind; or null
    float own = 1.0f, residual = 0.0f, residual_shift = 0.0f;
    float low = 0.0f, high = 0.0f;
};

}  // namespace mobileinst
