#pragma once

#include <cstddef>

namespace mobileinst {

/// Keeps one part of a mask: of the 8-connected parts of the cells above `threshold`, the one with the
/// greatest sum of probabilities (the first from the top left of equal ones). Cells of the others are set to
/// threshold - 1. Kept and removed cells are never neighbours, so no pixel of the bilinear mask that lies
/// between kept cells changes. Logits (height, width) must be finite.
void keep_heaviest_part(float* logits, size_t height, size_t width, float threshold);

}  // namespace mobileinst
