#pragma once

#include <string>
#include <vector>

#include "core/tier.h"

namespace mobileinst {

/// What this processor and its operating system support, of what tiers ask for, in Linux's words: "avx2",
/// "asimdhp" and others.
const std::vector<std::string>& cpu_features();

/// What a processor needs for a tier, of the same words.
std::vector<std::string> tier_features(Tier tier);

}  // namespace mobileinst
