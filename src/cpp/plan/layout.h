#pragma once

#include <cstddef>
#include <vector>

namespace mobileinst {

/// Memory that is needed while nodes [first, last] run.
struct Block {
    size_t bytes = 0;
    size_t first = 0, last = 0;
};

/// Where blocks lie in one arena: offsets in bytes, multiples of kAlignment, and the arena's size. Blocks
/// whose lifetimes overlap do not share memory. Greedy by size: the largest first, each at the lowest free
/// offset.
struct Layout {
    std::vector<size_t> offsets;
    size_t bytes = 0;
};

/// Throws std::bad_alloc for more memory than a program can have.
Layout lay_out(const std::vector<Block>& blocks);

}  // namespace mobileinst
