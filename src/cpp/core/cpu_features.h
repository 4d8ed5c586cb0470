#pragma once

#include <string>
#include <vector>

namespace mobileinst {

/// What this processor and its operating system support, of what tiers ask for (kTiers in tier.cpp), in
/// Linux's words: "avx2", "asimdhp" and others.
const std::vector<std::string>& cpu_features();

}  // namespace mobileinst
