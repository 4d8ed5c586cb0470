#include "masks/connected_components/connected_components.h"

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <vector>

#include "kernels/kernel_table.h"
#include "masks/run_length/run_length.h"

namespace mobileinst {
namespace {

/// Cells [begin, end) of a row, all above the threshold. `parent` is the run itself or an earlier one of the
/// same component.
struct Span {
    uint32_t row, begin, end, parent;
};

/// Cells of a component, at the index of its first run.
struct Component {
    size_t area = 0;
    double weight = 0;
};

/// The runs of ones in a row of `width` bits, appended.
void append_spans(const uint64_t* bits, uint32_t row, uint32_t width, std::vector<Span>* spans) {
    const uint32_t words = (width + 63) / 64;
    uint32_t begin = 0;
    bool inside = false;
    for (uint32_t word = 0; word < words; ++word) {
        // ones where a cell differs from the one before it
        uint64_t edges = bits[word] ^ (bits[word] << 1 | static_cast<uint64_t>(inside));
        for (; edges != 0; edges &= edges - 1) {
            const uint32_t place = word * 64 + static_cast<uint32_t>(__builtin_ctzll(edges));
            if (inside) {
                spans->push_back({row, begin, place, static_cast<uint32_t>(spans->size())});
            }
            begin = place;
            inside = !inside;
        }
    }
    if (inside) {  // up to the last bit of the last word, which is the last cell then
        spans->push_back({row, begin, width, static_cast<uint32_t>(spans->size())});
    }
}

uint32_t root_of(std::vector<Span>& spans, uint32_t i) {
    while (spans[i].parent != i) {
        spans[i].parent = spans[spans[i].parent].parent;
        i = spans[i].parent;
    }
    return i;
}

/// Joins the runs [second, end) of a row with those [first, second) of the row above that they touch, also
/// diagonally.
void join_rows(std::vector<Span>& spans, uint32_t first, uint32_t second, uint32_t end) {
    uint32_t upper = first;
    for (uint32_t lower = second; lower < end; ++lower) {
        while (upper < second && spans[upper].end < spans[lower].begin) {
            ++upper;
        }
        for (uint32_t i = upper; i < second && spans[i].begin <= spans[lower].end; ++i) {
            const uint32_t a = root_of(spans, i), b = root_of(spans, lower);
            spans[std::max(a, b)].parent = std::min(a, b);
        }
    }
}

/// All runs of the mask, joined into components.
std::vector<Span> find_spans(Tier tier, const float* logits, size_t height, size_t width, float threshold) {
    const RunLengthKernels& kernels = kernels_of(tier, &KernelTable::run_length);
    std::vector<uint64_t> bits((width + 63) / 64);
    std::vector<Span> spans;
    uint32_t above = 0, here = 0;
    for (size_t row = 0; row < height; ++row) {
        std::fill(bits.begin(), bits.end(), 0);
        kernels.above(logits + row * width, width, threshold, bits.data());
        append_spans(bits.data(), static_cast<uint32_t>(row), static_cast<uint32_t>(width), &spans);
        const auto end = static_cast<uint32_t>(spans.size());
        join_rows(spans, above, here, end);
        above = here;
        here = end;
    }
    return spans;
}

double probability(float logit) { return 1 / (1 + std::exp(-static_cast<double>(logit))); }

/// Index of the first run of the heaviest component. A cell weighs at least the threshold's probability and
/// at most 1, so components that are too small for their area are not summed.
uint32_t heaviest(const float* logits, size_t width, float threshold, const std::vector<Span>& spans,
                  std::vector<Component>* components) {
    size_t largest = 0;
    for (const Component& component : *components) {
        largest = std::max(largest, component.area);
    }
    const double least = static_cast<double>(largest) * probability(threshold) * (1 - 1e-9);
    const auto contends = [&](const Component& component) {
        return static_cast<double>(component.area) >= least;
    };
    if (std::count_if(components->begin(), components->end(), [&](const Component& component) {
            return component.area > 0 && contends(component);
        }) > 1) {
        for (const Span& span : spans) {
            Component& component = (*components)[span.parent];
            for (uint32_t x = span.begin; contends(component) && x < span.end; ++x) {
                component.weight += probability(logits[span.row * width + x]);
            }
        }
    } else {
        for (Component& component : *components) {
            component.weight = static_cast<double>(component.area);
        }
    }
    const auto most =
        std::max_element(components->begin(), components->end(),
                         [](const Component& a, const Component& b) { return a.weight < b.weight; });
    return static_cast<uint32_t>(most - components->begin());
}

}  // namespace

void keep_heaviest_component(Tier tier, float* logits, size_t height, size_t width, float threshold) {
    if (tier == Tier::Ref) {
        keep_heaviest_component_ref(logits, height, width, threshold);
        return;
    }
    std::vector<Span> spans = find_spans(tier, logits, height, width, threshold);
    std::vector<Component> components(spans.size());
    size_t count = 0;
    for (uint32_t i = 0; i < spans.size(); ++i) {
        count += spans[i].parent == i ? 1 : 0;
        spans[i].parent = root_of(spans, i);
        components[spans[i].parent].area += spans[i].end - spans[i].begin;
    }
    if (count < 2) {
        return;
    }
    const uint32_t kept = heaviest(logits, width, threshold, spans, &components);
    for (const Span& span : spans) {
        if (span.parent != kept) {
            float* row = logits + span.row * width;
            std::fill(row + span.begin, row + span.end, threshold - 1);
        }
    }
}

}  // namespace mobileinst
