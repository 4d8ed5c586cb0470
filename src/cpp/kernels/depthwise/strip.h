#pragma once

// A strip: a few neighbouring outputs of a row for a group of vectors of channels.
//
// Packed weights: per group of vectors of channels (kernel * kernel, group); vectors that make no whole group
// are groups of their own, the last filled up with zeros.

#include "kernels/convolution/view.h"
#include "simd/epilogue.h"

namespace mobileinst {
namespace {

constexpr bool kNeon = kVecTier == Tier::Neon;

/// Outputs of a strip, at most.
template <int KERNEL>
constexpr int kPixels = kNeon ? (KERNEL == 3 ? 4 : 8) : 6;
/// Vectors of channels of a group.
template <int KERNEL>
constexpr int kStripVectors = kNeon ? (KERNEL == 3 ? 4 : 2) : 1;
/// Outputs from which on there is assembly for strips, or 0.
template <int KERNEL>
constexpr size_t kLeastAssembledPixels = kNeon ? (KERNEL == 3 ? 3 : 5) : 0;

/// Stands for a bias that there is not.
alignas(64) constexpr Element kNoBias[4 * Vec<Element>::kWidth] = {};

/// Where a group of vectors of channels comes from and goes to, for a few neighbouring outputs.
struct Strip {
    const Element* const* rows;  // of the input that the windows see
    size_t row_count;
    ptrdiff_t offset;         // from a row's begin to the first tap that is used
    const Element* weights;   // first tap that is used
    const Element* bias;      // as many vectors as the group has
    Element* output;          // first output
    const Element* residual;  // of the first output, or null
    size_t input_ld, output_ld, residual_ld;

    /// To the group that begins `channels` further on, with that many taps.
    void advance(size_t channels, size_t taps) {
        offset += static_cast<ptrdiff_t>(channels);
        weights += channels * taps;
        bias += bias == kNoBias ? 0 : channels;
        output += channels;
        residual = residual == nullptr ? nullptr : residual + channels;
    }
};

/// Vectors of channels that are packed together.
constexpr size_t strip_vectors(size_t kernel) {
    return kernel == 3 ? kStripVectors<3> : kernel == 5 ? kStripVectors<5> : 1;
}

/// The packed weights of the vector of channels that begins at channel c.
struct PackedVector {
    const Element* first;
    size_t step;

    PackedVector(const ConvView<Element>& args, size_t c) {
        const size_t taps = args.kernel * args.kernel,
                     group = strip_vectors(args.kernel) * Vec<Element>::kWidth;
        const size_t in_group = c % group;
        const bool whole = c - in_group + group <= args.input.channels;
        first = args.packed + (whole ? (c - in_group) * taps + in_group : c * taps);
        step = whole ? group : Vec<Element>::kWidth;
    }

    const Element* tap(size_t i) const { return first + i * step; }
};

/// Defined where kLeastAssembledPixels is not 0.
template <int KERNEL, int STRIDE>
void assembled_strips(const Strip& strip, size_t groups, size_t low, size_t wide_count, size_t narrow_count,
                      Activation activation);

}  // namespace
}  // namespace mobileinst
