#pragma once

#include <memory>
#include <optional>
#include <string>

#include "core/activation.h"
#include "plan/conv_weights.h"
#include "plan/node.h"

namespace mobileinst {

/// Expansion (optional), depthwise convolution and projection of `x` into `y` in one pass. The activation
/// comes after the first two; the projection has none, and a residual perhaps.
struct InvertedResidualSpec {
    std::string name;
    TensorId x = 0, y = 0;
    std::optional<TensorId> residual;
    std::shared_ptr<const ConvWeights> expand, depthwise, project;  ///< `expand` may be null
    Activation activation = Activation::None;
};

std::unique_ptr<Node> make_inverted_residual_node(InvertedResidualSpec spec);

}  // namespace mobileinst
