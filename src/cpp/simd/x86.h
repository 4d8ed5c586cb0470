#pragma once

// What the vectors of x86 have in common. Included by their headers.

namespace mobileinst {
namespace {

/// x, which is not read from memory again by each instruction that uses it.
inline __attribute__((always_inline)) Vec<float> in_register(Vec<float> x) {
    asm("" : "+v"(x.v));
    return x;
}

/// For NEON's sake; x86 addresses need no help.
template <typename T>
inline T* settled(T* p) {
    return p;
}

/// base + i * step, which x86 addresses hold for small i.
template <typename T>
inline T* next_address(T* /*previous*/, T* base, size_t i, size_t step) {
    return base + i * step;
}

}  // namespace
}  // namespace mobileinst
