#pragma once

#include <memory>
#include <vector>

#include "core/tensor.h"
#include "core/tier.h"
#include "plan/node.h"

namespace mobileinst {

/// What chains are made from: the nodes of a plan, and what is known of its tensors.
struct ChainInput {
    Tier tier;
    size_t ranges;                      ///< that the rows of a chain are cut into
    const std::vector<Tensor>& shapes;  ///< without memory
    /// Tensors that nobody but the nodes need and that are no views.
    const std::vector<bool>& own;
    std::vector<size_t>& section_ends;  ///< moved as nodes are joined
};

/// Joins neighbours of which each reads only what the one before writes, row by row, so that the large maps
/// between them shrink to a few rows that stay in the second-level cache. Binds nodes to the shapes.
void chain_rows(std::vector<std::unique_ptr<Node>>& nodes, const ChainInput& input);

}  // namespace mobileinst
