#include <algorithm>
#include <cmath>
#include <cstdint>
#include <vector>

#include "masks/connected_components/connected_components.h"

namespace mobileinst {
namespace {

/// Labels the component that holds `start` and returns its sum of probabilities. Cells of value 0 in `labels`
/// are above the threshold and not reached yet.
double flood(const float* logits, size_t height, size_t width, size_t start, int32_t label,
             std::vector<int32_t>* labels, std::vector<size_t>* stack) {
    double weight = 0;
    stack->assign(1, start);
    (*labels)[start] = label;
    while (!stack->empty()) {
        const size_t cell = stack->back();
        stack->pop_back();
        weight += 1 / (1 + std::exp(-static_cast<double>(logits[cell])));
        const size_t y = cell / width, x = cell % width;
        for (size_t v = y - (y > 0); v <= std::min(y + 1, height - 1); ++v) {
            for (size_t u = x - (x > 0); u <= std::min(x + 1, width - 1); ++u) {
                const size_t other = v * width + u;
                if ((*labels)[other] == 0) {
                    (*labels)[other] = label;
                    stack->push_back(other);
                }
            }
        }
    }
    return weight;
}

}  // namespace

void keep_heaviest_component_ref(float* logits, size_t height, size_t width, float threshold) {
    const size_t cells = height * width;
    std::vector<int32_t> labels(cells);
    for (size_t i = 0; i < cells; ++i) {
        labels[i] = logits[i] > threshold ? 0 : -1;
    }
    std::vector<size_t> stack;
    int32_t components = 0, heaviest = 0;
    double most = 0;
    for (size_t i = 0; i < cells; ++i) {
        if (labels[i] == 0) {
            const double weight = flood(logits, height, width, i, ++components, &labels, &stack);
            if (weight > most) {
                most = weight;
                heaviest = components;
            }
        }
    }
    for (size_t i = 0; components > 1 && i < cells; ++i) {
        if (labels[i] > 0 && labels[i] != heaviest) {
            logits[i] = threshold - 1;
        }
    }
}

}  // namespace mobileinst
