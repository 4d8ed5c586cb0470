#include "core/cpu_features.h"

#include <cstdint>

#if defined(__x86_64__)
#include <cpuid.h>
#elif defined(__aarch64__) && defined(__linux__)
#include <sys/auxv.h>
#endif

namespace mobileinst {
namespace {

#if defined(__x86_64__)

/// XCR0: which register states the operating system saves. Inline assembly, as the intrinsic needs -mxsave.
uint64_t saved_register_states() {
    uint32_t low = 0, high = 0;
    __asm__ volatile("xgetbv" : "=a"(low), "=d"(high) : "c"(0));
    return (static_cast<uint64_t>(high) << 32) | low;
}

CpuFeatures detect() {
    CpuFeatures found;
    found.sse2 = true;
    uint32_t a = 0, b = 0, c = 0, d = 0;
    if (__get_cpuid(1, &a, &b, &c, &d) == 0) {
        return found;
    }
    const bool fma = (c >> 12 & 1) != 0, osxsave = (c >> 27 & 1) != 0, avx = (c >> 28 & 1) != 0,
               f16c = (c >> 29 & 1) != 0;
    if (!fma || !osxsave || !avx || __get_cpuid_count(7, 0, &a, &b, &c, &d) == 0) {
        return found;
    }
    constexpr uint64_t kYmm = 0x6, kZmm = 0xe6;  // SSE + AVX; the same and opmask + ZMM halves
    const uint64_t saved = saved_register_states();
    found.avx2 = f16c && (saved & kYmm) == kYmm && (b >> 5 & 1) != 0;
    const bool avx512 = (b >> 16 & 1) != 0 && (b >> 17 & 1) != 0 && (b >> 30 & 1) != 0 && (b >> 31 & 1) != 0;
    found.avx512 = found.avx2 && (saved & kZmm) == kZmm && avx512;
    found.avx512_vnni = found.avx512 && (c >> 1 & 1) != 0 && (c >> 11 & 1) != 0;
    return found;
}

#elif defined(__aarch64__)

CpuFeatures detect() {
    CpuFeatures found;
    found.neon = true;
#if defined(__linux__)
    const unsigned long capabilities = getauxval(AT_HWCAP);
    found.fp16 = (capabilities >> 10 & 1) != 0;     // HWCAP_ASIMDHP
    found.dotprod = (capabilities >> 20 & 1) != 0;  // HWCAP_ASIMDDP
#endif
    return found;
}

#else

CpuFeatures detect() { return {}; }

#endif

}  // namespace

const CpuFeatures& cpu_features() {
    static const CpuFeatures found = detect();
    return found;
}

std::vector<std::string> cpu_feature_names() {
    const CpuFeatures& found = cpu_features();
    std::vector<std::string> names;
    const struct {
        bool present;
        const char* name;
    } all[] = {{found.sse2, "sse2"},      {found.avx2, "avx2"},
               {found.avx512, "avx512"},  {found.avx512_vnni, "avx512_vnni"},
               {found.neon, "neon"},      {found.fp16, "fp16"},
               {found.dotprod, "dotprod"}};
    for (const auto& feature : all) {
        if (feature.present) {
            names.emplace_back(feature.name);
        }
    }
    return names;
}

}  // namespace mobileinst
