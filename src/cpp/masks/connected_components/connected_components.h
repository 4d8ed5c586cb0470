#pragma once

#include <cstddef>

#include "core/tier.h"

namespace mobileinst {

/// Keeps one component of a mask: of the 8-connected components of the cells above `threshold`, the one with
/// the greatest sum of probabilities (the first from the top left of equal ones). Cells of the others are set
/// to threshold - 1. Kept and removed cells are never neighbours, so no pixel of the bilinear mask that lies
/// between kept cells changes. Logits (height, width) must be finite. `Ref` floods component by component;
/// the other tiers join the runs of neighbouring rows, and sum only where areas alone don't tell.
void keep_heaviest_component(Tier tier, float* logits, size_t height, size_t width, float threshold);

/// The oracle of keep_heaviest_component().
void keep_heaviest_component_ref(float* logits, size_t height, size_t width, float threshold);

}  // namespace mobileinst
