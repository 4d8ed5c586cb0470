#include "core/cpu_features.h"

#include <cstdint>

#if defined(__x86_64__)
#include <cpuid.h>
#elif (defined(__aarch64__) || defined(__arm__)) && defined(__linux__)
#include <sys/auxv.h>
#elif defined(__aarch64__) && defined(__APPLE__)
#include <sys/sysctl.h>
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

std::vector<std::string> detect() {
    std::vector<std::string> found = {"sse2"};
    uint32_t a = 0, b = 0, c = 0, d = 0;
    const auto add = [&](uint32_t bits, int bit, const char* name) {
        if ((bits >> bit & 1) != 0) {
            found.emplace_back(name);
        }
    };
    constexpr uint32_t kSavesStates = 1u << 27;  // OSXSAVE
    if (__get_cpuid(1, &a, &b, &c, &d) == 0 || (c & kSavesStates) == 0) {
        return found;
    }
    constexpr uint64_t kYmm = 0x6, kZmm = 0xe6;  // SSE + AVX; the same and opmask + ZMM halves
    const uint64_t saved = saved_register_states();
    if ((saved & kYmm) != kYmm) {
        return found;
    }
    add(c, 12, "fma");
    add(c, 29, "f16c");
    if (__get_cpuid_count(7, 0, &a, &b, &c, &d) == 0) {
        return found;
    }
    add(b, 5, "avx2");
    if ((saved & kZmm) == kZmm) {
        add(b, 16, "avx512f");
        add(b, 17, "avx512dq");
        add(b, 30, "avx512bw");
        add(b, 31, "avx512vl");
        add(c, 1, "avx512vbmi");
        add(c, 11, "avx512_vnni");
    }
    const bool more = a > 0;  // subleaves
    if (more && __get_cpuid_count(7, 1, &a, &b, &c, &d) != 0) {
        add(a, 4, "avx_vnni");
    }
    return found;
}

#elif (defined(__aarch64__) || defined(__arm__)) && defined(__linux__)

std::vector<std::string> detect() {
    const struct {
        unsigned long word;
        int bit;
        const char* name;
    } extensions[] = {
#if defined(__aarch64__)
        {AT_HWCAP, 1, "asimd"},
        {AT_HWCAP, 10, "asimdhp"},
        {AT_HWCAP, 20, "asimddp"},  // the latter of armv8.2: half precision, SDOT
        {AT_HWCAP2, 13, "i8mm"},    // SMMLA
#else
        {AT_HWCAP, 12, "neon"},
        {AT_HWCAP, 16, "vfpv4"},
#endif
    };
    std::vector<std::string> found;
    for (const auto& extension : extensions) {
        if ((getauxval(extension.word) >> extension.bit & 1) != 0) {
            found.emplace_back(extension.name);
        }
    }
    return found;
}

#elif defined(__aarch64__) && defined(__APPLE__)

std::vector<std::string> detect() {
    std::vector<std::string> found = {"asimd"};
    const char* const extensions[][2] = {{"hw.optional.arm.FEAT_FP16", "asimdhp"},
                                         {"hw.optional.arm.FEAT_DotProd", "asimddp"},
                                         {"hw.optional.arm.FEAT_I8MM", "i8mm"}};
    for (const auto& [key, name] : extensions) {
        int value = 0;
        size_t size = sizeof(value);
        if (sysctlbyname(key, &value, &size, nullptr, 0) == 0 && value != 0) {
            found.emplace_back(name);
        }
    }
    return found;
}

#elif defined(__aarch64__)

std::vector<std::string> detect() { return {"asimd"}; }

#else

std::vector<std::string> detect() { return {}; }

#endif

}  // namespace

const std::vector<std::string>& cpu_features() {
    static const std::vector<std::string> found = detect();
    return found;
}

}  // namespace mobileinst
