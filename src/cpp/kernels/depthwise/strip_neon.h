#pragma once

// Strips of depthwise convolution in assembly: of whole groups of channels, within the image, without
// residual and with an activation that only limits.

#include "kernels/depthwise/strip.h"

namespace mobileinst {

/// Strips side by side in a row of outputs, group of channels by group. Steps are in bytes.
struct StripRow {
    const float* const* rows;  // of the input that the windows see
    size_t row_count;
    ptrdiff_t offset;      // bytes from a row's begin to the first tap that is used
    const float* weights;  // first tap that is used
    const float* bias;
    size_t bias_step;  // from group to group
    float* output;
    size_t output_step, input_step;  // from pixel to pixel
    size_t groups;
    size_t wide, narrow;  // strips of as many outputs as the function has in its name, then of one less
    size_t mode;          // bits: 1 a lower limit of 0, 2 an upper one of 6
};

}  // namespace mobileinst

// strips_neon.S
extern "C" {
void mobileinst_strip_row_3x3_s1_4(const mobileinst::StripRow* row);
void mobileinst_strip_row_3x3_s2_4(const mobileinst::StripRow* row);
void mobileinst_strip_row_5x5_s1_6(const mobileinst::StripRow* row);
void mobileinst_strip_row_5x5_s1_7(const mobileinst::StripRow* row);
void mobileinst_strip_row_5x5_s1_8(const mobileinst::StripRow* row);
void mobileinst_strip_row_5x5_s2_6(const mobileinst::StripRow* row);
void mobileinst_strip_row_5x5_s2_7(const mobileinst::StripRow* row);
void mobileinst_strip_row_5x5_s2_8(const mobileinst::StripRow* row);
}

namespace mobileinst {
namespace {

using StripRowFunction = void (*)(const StripRow*);

/// The function whose wide strips have so many outputs.
template <int KERNEL, int STRIDE>
inline StripRowFunction strip_row_of(size_t wide) {
    if constexpr (KERNEL == 3) {
        return STRIDE == 1 ? mobileinst_strip_row_3x3_s1_4 : mobileinst_strip_row_3x3_s2_4;
    } else if constexpr (STRIDE == 1) {
        return wide == 6   ? mobileinst_strip_row_5x5_s1_6
               : wide == 7 ? mobileinst_strip_row_5x5_s1_7
                           : mobileinst_strip_row_5x5_s1_8;
    } else {
        return wide == 6   ? mobileinst_strip_row_5x5_s2_6
               : wide == 7 ? mobileinst_strip_row_5x5_s2_7
                           : mobileinst_strip_row_5x5_s2_8;
    }
}

/// As many groups from `strip` on: `wide_count` strips of `low` + 1 outputs, then `narrow_count` of `low`.
template <int KERNEL, int STRIDE>
inline void assembled_strips(const Strip& strip, size_t groups, size_t low, size_t wide_count,
                             size_t narrow_count, Activation activation) {
    const bool widest = low == kPixels<KERNEL>;  // which no function has as its narrow strips
    const size_t group_step = kStripVectors<KERNEL> * sizeof(float) * Vec<float>::kWidth;
    const StripRow row = {strip.rows,
                          strip.row_count,
                          strip.offset * static_cast<ptrdiff_t>(sizeof(float)),
                          strip.weights,
                          strip.bias,
                          strip.bias == kNoBias ? 0 : group_step,
                          strip.output,
                          strip.output_ld * sizeof(float),
                          strip.input_ld * sizeof(float),
                          groups,
                          widest ? narrow_count : wide_count,
                          widest ? 0 : narrow_count,
                          static_cast<size_t>((activation != Activation::None ? 1 : 0) +
                                              (activation == Activation::Relu6 ? 2 : 0))};
    strip_row_of<KERNEL, STRIDE>(widest ? low : low + 1)(&row);
}

}  // namespace
}  // namespace mobileinst
