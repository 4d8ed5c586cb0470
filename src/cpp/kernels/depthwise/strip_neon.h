#pragma once

// Strips of depthwise convolution in assembly: of whole groups of channels, within the image, without
// residual and with an activation that only limits.

#include "kernels/depthwise/strip.h"

namespace mobileinst {

/// Strips side by side in a row of outputs, group of channels by group. Steps are in bytes.
struct StripRow {
    const void* rows;  // addresses of those of the input that the windows see
    size_t row_count;
    ptrdiff_t offset;     // bytes from a row's begin to the first tap that is used
    const void* weights;  // first tap that is used
    const void* bias;
    size_t bias_step;  // from group to group
    void* output;
    size_t output_step, input_step;  // from pixel to pixel
    size_t groups;
    size_t wide, narrow;  // strips of as many outputs as the function has in its name, then of one less
    size_t mode;          // see limit_bits()
};

using StripRowFunction = void(const StripRow* row);

}  // namespace mobileinst

extern "C" {
// strips_neon.S
mobileinst::StripRowFunction mobileinst_strip_row_3x3_s1_4, mobileinst_strip_row_3x3_s2_4,
    mobileinst_strip_row_5x5_s1_6, mobileinst_strip_row_5x5_s1_7, mobileinst_strip_row_5x5_s1_8,
    mobileinst_strip_row_5x5_s2_6, mobileinst_strip_row_5x5_s2_7, mobileinst_strip_row_5x5_s2_8;
// strips_neon_fp16.S
mobileinst::StripRowFunction mobileinst_strip_row_3x3_s1_4_fp16, mobileinst_strip_row_3x3_s2_4_fp16,
    mobileinst_strip_row_5x5_s1_6_fp16, mobileinst_strip_row_5x5_s1_7_fp16,
    mobileinst_strip_row_5x5_s1_8_fp16, mobileinst_strip_row_5x5_s2_6_fp16,
    mobileinst_strip_row_5x5_s2_7_fp16, mobileinst_strip_row_5x5_s2_8_fp16;
}

namespace mobileinst {
namespace {

/// The functions of a type of elements: 3x3 by stride; 5x5 by stride and outputs of the wide strips, from 6.
struct StripRowFunctions {
    StripRowFunction* of_3x3[2];
    StripRowFunction* of_5x5[2][3];
};

constexpr StripRowFunctions kStripRowFunctions =
    kElementType == DType::Float16
        ? StripRowFunctions{{mobileinst_strip_row_3x3_s1_4_fp16, mobileinst_strip_row_3x3_s2_4_fp16},
                            {{mobileinst_strip_row_5x5_s1_6_fp16, mobileinst_strip_row_5x5_s1_7_fp16,
                              mobileinst_strip_row_5x5_s1_8_fp16},
                             {mobileinst_strip_row_5x5_s2_6_fp16, mobileinst_strip_row_5x5_s2_7_fp16,
                              mobileinst_strip_row_5x5_s2_8_fp16}}}
        : StripRowFunctions{
              {mobileinst_strip_row_3x3_s1_4, mobileinst_strip_row_3x3_s2_4},
              {{mobileinst_strip_row_5x5_s1_6, mobileinst_strip_row_5x5_s1_7, mobileinst_strip_row_5x5_s1_8},
               {mobileinst_strip_row_5x5_s2_6, mobileinst_strip_row_5x5_s2_7,
                mobileinst_strip_row_5x5_s2_8}}};

/// The function whose wide strips have so many outputs.
template <int KERNEL, int STRIDE>
inline StripRowFunction* strip_row_of(size_t wide) {
    if constexpr (KERNEL == 3) {
        return kStripRowFunctions.of_3x3[STRIDE - 1];
    } else {
        return kStripRowFunctions.of_5x5[STRIDE - 1][wide - 6];
    }
}

/// As many groups from `strip` on: `wide_count` strips of `low` + 1 outputs, then `narrow_count` of `low`.
template <int KERNEL, int STRIDE>
inline void assembled_strips(const Strip& strip, size_t groups, size_t low, size_t wide_count,
                             size_t narrow_count, Activation activation) {
    const bool widest = low == kPixels<KERNEL>;  // which no function has as its narrow strips
    const size_t group_step = kStripVectors<KERNEL> * sizeof(Element) * Vec<Element>::kWidth;
    const StripRow row = {strip.rows,
                          strip.row_count,
                          strip.offset * static_cast<ptrdiff_t>(sizeof(Element)),
                          strip.weights,
                          strip.bias,
                          strip.bias == kNoBias ? 0 : group_step,
                          strip.output,
                          strip.output_ld * sizeof(Element),
                          strip.input_ld * sizeof(Element),
                          groups,
                          widest ? narrow_count : wide_count,
                          widest ? 0 : narrow_count,
                          limit_bits(activation)};
    strip_row_of<KERNEL, STRIDE>(widest ? low : low + 1)(&row);
}

}  // namespace
}  // namespace mobileinst
