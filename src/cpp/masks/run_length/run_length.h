#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <vector>

#include "core/tier.h"

namespace mobileinst {

/// COCO run lengths, column by column from the top left; the first run is background and may be 0.
using Runs = std::vector<uint32_t>;

/// Pixels [left, right) x [top, bottom).
struct PixelBox {
    uint32_t left = 0, top = 0, right = UINT32_MAX, bottom = UINT32_MAX;
};

/// Mask logits of one instance, and the mask's size.
struct LogitsMask {
    const float* logits = nullptr;         ///< (height, width), contiguous
    size_t height = 0, width = 0;          ///< each >= 1
    size_t out_height = 0, out_width = 0;  ///< each >= 1, product < 2^32
    float threshold = 0.0f;                ///< a pixel belongs to the mask where its logit is greater
    PixelBox within;                       ///< and that is in here
};

/// Run lengths of `bilinear(logits) > threshold` without making the upsampled map. The interpolant is
/// a + (b - a) * w in single precision along x, then along y, with the taps of linear_tap(); where its sign
/// changes is solved per column and low-resolution cell, and checked by evaluating it, so the result equals
/// thresholding every pixel bit by bit. `Ref` does the latter. Logits must be finite. For masks of one size
/// after each other, the taps are computed once.
class RunLengthEncoder {
  public:
    /// For masks of the sizes and threshold of `mask`; its logits and box are not read.
    RunLengthEncoder(Tier tier, const LogitsMask& mask);
    ~RunLengthEncoder();
    RunLengthEncoder(RunLengthEncoder&&) noexcept;

    Runs encode(const float* logits, const PixelBox& within = {});

  private:
    class Outline;
    LogitsMask mask_;
    std::unique_ptr<Outline> outline_;  // null for `Ref`
};

/// Mean of the probabilities above `sigmoid(threshold)` of the logits upsampled bilinearly by 2 (0 if there
/// are none): the "maskness" of SparseInst's score (docs/spec.md: Scores and masks).
float maskness(Tier tier, const float* logits, size_t height, size_t width, float threshold);

/// What the fast encoder needs per instruction set.
struct RunLengthKernels {
    /// Sets bit i of `bits` (zeroed by the caller) where row[i] > threshold.
    void (*above)(const float* row, size_t width, float threshold, uint64_t* bits);
    /// Columns [begin, end) of one cell: their values at its upper and lower corner row are mixed from the
    /// corner logits with `weights`. Where exactly one exceeds the threshold, writes the column, and the
    /// fraction of the way down at which the interpolant crosses it, with the two values. Returns how many
    /// were written.
    size_t (*crossings)(const float corners[4], const float* weights, size_t begin, size_t end,
                        float threshold, struct Crossing* out);
    /// Sum and count of sigmoid(v) for v > threshold over the 2x horizontal upsampling of a row; row[-1] and
    /// row[width] repeat the edges.
    void (*maskness_row)(const float* row, size_t width, float threshold, double* sum, size_t* count);
};

/// A column whose interpolant changes sign within a cell.
struct Crossing {
    uint32_t column;
    float fraction, upper, lower;
};

/// Thresholds every pixel of the upsampled map: the oracle of RunLengthEncoder.
Runs run_lengths_dense(const LogitsMask& mask);

}  // namespace mobileinst
