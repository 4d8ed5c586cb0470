#include "core/tier.h"

#include <algorithm>
#include <cstdlib>
#include <iterator>
#include <sstream>
#include <stdexcept>

#include "core/cpu_features.h"

namespace mobileinst {
namespace {

/// A tier, and the words of cpu_features() that it needs, with blanks between them.
struct KnownTier {
    Tier tier;
    const char *name, *features;
};

constexpr KnownTier kTiers[] = {
    {Tier::Ref, "ref", ""},
    {Tier::NeonArmv7, "neon_armv7", "neon vfpv4"},
    {Tier::Neon, "neon", "asimd"},
    {Tier::NeonFp16, "neon_fp16", "asimd asimdhp"},
    {Tier::NeonDot, "neon_dot", "asimd asimdhp asimddp"},
    {Tier::NeonI8mm, "neon_i8mm", "asimd asimdhp asimddp i8mm"},
    {Tier::Sse, "sse", "sse2"},
    {Tier::Avx2, "avx2", "avx2 fma f16c"},
#if defined(MOBILEINST_AVX_VNNI)  // the compiler knows the instructions
    {Tier::Avx2Vnni, "avx2_vnni", "avx2 fma f16c avx_vnni"},
#endif
    {Tier::Avx512, "avx512", "avx2 fma f16c avx512f avx512vl avx512dq avx512bw"},
    {Tier::Avx512Vnni, "avx512_vnni",
     "avx2 fma f16c avx512f avx512vl avx512dq avx512bw avx512_vnni avx512vbmi"},
};

const KnownTier& known(Tier tier) {
    return *std::find_if(std::begin(kTiers), std::end(kTiers),
                         [&](const KnownTier& one) { return one.tier == tier; });
}

std::string join(const std::vector<Tier>& tiers) {
    std::string text;
    for (Tier tier : tiers) {
        text += (text.empty() ? "" : ", ") + std::string(tier_name(tier));
    }
    return text;
}

std::vector<Tier> find_supported() {
    const std::vector<std::string>& found = cpu_features();
    const auto has = [&](const std::string& word) {
        return std::find(found.begin(), found.end(), word) != found.end();
    };
    std::vector<Tier> tiers;
    for (const KnownTier& one : kTiers) {
        const std::vector<std::string> wanted = tier_features(one.tier);
        if (std::all_of(wanted.begin(), wanted.end(), has)) {
            tiers.push_back(one.tier);
        }
    }
    return tiers;
}

Tier choose_tier() {
    const char* wanted = std::getenv("MOBILEINST_TIER");
    if (wanted == nullptr || *wanted == '\0') {
        return supported_tiers().back();
    }
    try {
        return tier_from_name(wanted);
    } catch (const std::invalid_argument& error) {
        throw std::invalid_argument("environment variable MOBILEINST_TIER: " + std::string(error.what()));
    }
}

}  // namespace

const char* tier_name(Tier tier) { return known(tier).name; }

std::vector<std::string> tier_features(Tier tier) {
    std::istringstream words(known(tier).features);
    return {std::istream_iterator<std::string>(words), {}};
}

std::vector<Tier> supported_tiers() {
    static const std::vector<Tier> supported = find_supported();
    return supported;
}

Tier tier_from_name(const std::string& name) {
    const std::vector<Tier> supported = supported_tiers();
    const auto named = [&](const KnownTier& one) { return name == one.name; };
    const auto* found = std::find_if(std::begin(kTiers), std::end(kTiers), named);
    if (found == std::end(kTiers)) {
        throw std::invalid_argument("unknown tier '" + name + "'; supported here: " + join(supported));
    }
    if (std::find(supported.begin(), supported.end(), found->tier) == supported.end()) {
        throw std::invalid_argument("tier '" + name +
                                    "' can't run on this machine; supported: " + join(supported));
    }
    return found->tier;
}

Tier active_tier() {
    static const Tier tier = choose_tier();
    return tier;
}

}  // namespace mobileinst
