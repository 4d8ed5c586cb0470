#pragma once

#include <memory>
#include <vector>

#include "plan/node.h"

namespace mobileinst {

/// Makes the node of an operation. `tensors` have shapes, but no memory yet. Throws std::invalid_argument,
/// naming the node, for an operation that is unknown, and for attributes or tensors that don't fit it.
std::unique_ptr<Node> make_node(NodeSpec spec, const std::vector<Tensor>& tensors);

}  // namespace mobileinst
