#include "plan/layout.h"

#include <algorithm>
#include <cstdint>
#include <new>
#include <numeric>

#include "core/aligned_buffer.h"

namespace mobileinst {
namespace {

bool overlap(const Block& a, const Block& b) { return a.first <= b.last && b.first <= a.last; }

/// Where a block ends. No memory is larger than half of what addresses tell apart, so programs of 32 bits,
/// whose sums could begin anew at 0, are refused here.
size_t end_of(size_t offset, size_t bytes) {
    constexpr size_t kMost = SIZE_MAX / 2;
    if (bytes > kMost - kAlignment || offset > kMost - whole_cache_lines(bytes)) {
        throw std::bad_alloc();
    }
    return offset + whole_cache_lines(bytes);
}

}  // namespace

Layout lay_out(const std::vector<Block>& blocks) {
    std::vector<size_t> order(blocks.size());
    std::iota(order.begin(), order.end(), size_t{0});
    std::stable_sort(order.begin(), order.end(),
                     [&](size_t a, size_t b) { return blocks[a].bytes > blocks[b].bytes; });
    Layout layout;
    layout.offsets.resize(blocks.size());
    std::vector<size_t> placed;  // by offset
    for (const size_t index : order) {
        size_t offset = 0;
        for (const size_t other : placed) {
            if (!overlap(blocks[index], blocks[other])) {
                continue;
            }
            if (end_of(offset, blocks[index].bytes) <= layout.offsets[other]) {
                break;  // fits into the gap before it
            }
            offset = std::max(offset, end_of(layout.offsets[other], blocks[other].bytes));
        }
        layout.offsets[index] = offset;
        layout.bytes = std::max(layout.bytes, end_of(offset, blocks[index].bytes));
        const auto after =
            std::upper_bound(placed.begin(), placed.end(), offset,
                             [&](size_t value, size_t other) { return value < layout.offsets[other]; });
        placed.insert(after, index);
    }
    return layout;
}

}  // namespace mobileinst
