#include "core/tier.h"

#include <cstdlib>
#include <stdexcept>

#include "core/cpu_features.h"

namespace mobileinst {
namespace {

std::string join(const std::vector<Tier>& tiers) {
    std::string text;
    for (Tier tier : tiers) {
        text += (text.empty() ? "" : ", ") + std::string(tier_name(tier));
    }
    return text;
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

const char* tier_name(Tier tier) {
    switch (tier) {
        case Tier::Ref:
            return "ref";
        case Tier::Neon:
            return "neon";
        case Tier::NeonFp16:
            return "neon_fp16";
        case Tier::NeonDot:
            return "neon_dot";
        case Tier::Sse:
            return "sse";
        case Tier::Avx2:
            return "avx2";
        case Tier::Avx512:
            return "avx512";
        case Tier::Avx512Vnni:
            return "avx512_vnni";
    }
    return "unknown";
}

std::vector<Tier> supported_tiers() {
    const CpuFeatures& features = cpu_features();
    std::vector<Tier> tiers = {Tier::Ref};
    if (features.neon) {
        tiers.push_back(Tier::Neon);
    }
    if (features.fp16) {
        tiers.push_back(Tier::NeonFp16);
    }
    if (features.fp16 && features.dotprod) {
        tiers.push_back(Tier::NeonDot);
    }
    if (features.sse2) {
        tiers.push_back(Tier::Sse);
    }
    if (features.avx2) {
        tiers.push_back(Tier::Avx2);
    }
    if (features.avx512) {
        tiers.push_back(Tier::Avx512);
    }
    if (features.avx512_vnni) {
        tiers.push_back(Tier::Avx512Vnni);
    }
    return tiers;
}

Tier tier_from_name(const std::string& name) {
    const std::vector<Tier> supported = supported_tiers();
    for (Tier tier : supported) {
        if (name == tier_name(tier)) {
            return tier;
        }
    }
    for (Tier tier :
         {Tier::Neon, Tier::NeonFp16, Tier::NeonDot, Tier::Sse, Tier::Avx2, Tier::Avx512, Tier::Avx512Vnni}) {
        if (name == tier_name(tier)) {
            throw std::invalid_argument("tier '" + name +
                                        "' can't run on this machine; supported: " + join(supported));
        }
    }
    throw std::invalid_argument("unknown tier '" + name + "'; supported here: " + join(supported));
}

Tier active_tier() {
    static const Tier tier = choose_tier();
    return tier;
}

}  // namespace mobileinst
