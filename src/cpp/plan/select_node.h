#pragma once

#include <cstddef>
#include <memory>
#include <string>
#include <vector>

#include "plan/node.h"

namespace mobileinst {

/// Tensors of one level of a selection, see SelectLevel.
struct SelectInputs {
    TensorId kinds, objectness, boxes, features;
};

/// How places are chosen, see SelectArgs.
struct SelectChoice {
    std::vector<size_t> groups;
    size_t candidates;
    float overlap, margin, window_scale, least_half;
};

/// The best places of all levels as the rows of `y`.
std::unique_ptr<Node> make_select_node(std::string name, std::vector<SelectInputs> levels,
                                       SelectChoice choice, TensorId y);

}  // namespace mobileinst
