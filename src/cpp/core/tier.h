#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

namespace mobileinst {

/// Instruction set that a kernel is written for. `Ref` is portable C++ and the oracle of the others.
enum class Tier : uint8_t {
    Ref,
    NeonArmv7,
    Neon,
    NeonFp16,
    NeonDot,
    NeonI8mm,
    Sse,
    Avx2,
    Avx2Vnni,
    Avx512,
    Avx512Vnni
};

/// What is counted on in the second-level cache of a core.
constexpr size_t second_cache_bytes(Tier tier) { return size_t{1} << (tier >= Tier::Avx2 ? 20 : 19); }

/// "ref", "neon_armv7", "neon", "neon_fp16", "neon_dot", "neon_i8mm", "sse", "avx2", "avx2_vnni",
/// "avx512" or "avx512_vnni".
const char* tier_name(Tier tier);

/// The tiers that this build contains and this CPU can run, slowest first; always begins with `Ref`.
std::vector<Tier> supported_tiers();

/// The tier of that name. Throws std::invalid_argument if it is unknown or can't run here.
Tier tier_from_name(const std::string& name);

/// The tier in use: the fastest supported one, or what the environment variable MOBILEINST_TIER names.
Tier active_tier();

}  // namespace mobileinst
