#pragma once

#include <cstddef>
#include <cstdint>

namespace mobileinst {
namespace {

/// Number of ones in a & b, by an instruction where the instruction set has one.
uint64_t count_shared(const uint64_t* a, const uint64_t* b, size_t words) {
    uint64_t even = 0, odd = 0;  // two chains of additions
    size_t i = 0;
    for (; i + 2 <= words; i += 2) {
        even += static_cast<uint64_t>(__builtin_popcountll(a[i] & b[i]));
        odd += static_cast<uint64_t>(__builtin_popcountll(a[i + 1] & b[i + 1]));
    }
    if (i < words) {
        even += static_cast<uint64_t>(__builtin_popcountll(a[i] & b[i]));
    }
    return even + odd;
}

}  // namespace
}  // namespace mobileinst
