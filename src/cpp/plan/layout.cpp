#include "plan/layout.h"

#include <algorithm>
#include <numeric>

#include "core/aligned_buffer.h"

namespace mobileinst {
namespace {

bool overlap(const Block& a, const Block& b) { return a.first <= b.last && b.first <= a.last; }

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
        const size_t bytes = whole_cache_lines(blocks[index].bytes);
        size_t offset = 0;
        for (const size_t other : placed) {
            if (!overlap(blocks[index], blocks[other])) {
                continue;
            }
            if (offset + bytes <= layout.offsets[other]) {
                break;  // fits into the gap before it
            }
            offset = std::max(offset, layout.offsets[other] + whole_cache_lines(blocks[other].bytes));
        }
        layout.offsets[index] = offset;
        layout.bytes = std::max(layout.bytes, offset + bytes);
        const auto after =
            std::upper_bound(placed.begin(), placed.end(), offset,
                             [&](size_t value, size_t other) { return value < layout.offsets[other]; });
        placed.insert(after, index);
    }
    return layout;
}

}  // namespace mobileinst
