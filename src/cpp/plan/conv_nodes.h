#pragma once

#include <memory>
#include <optional>
#include <string>

#include "core/activation.h"
#include "plan/conv_weights.h"
#include "plan/node.h"

namespace mobileinst {

/// A convolution or linear layer of `x` into `y` with its activation, then the residual added. Shapes must
/// fit.
struct ConvNodeSpec {
    std::string name;
    TensorId x = 0, y = 0;
    std::optional<TensorId> residual;
    std::shared_ptr<const ConvWeights> weights;
    Activation activation = Activation::None;
};

std::unique_ptr<Node> make_conv_node(ConvNodeSpec spec);

}  // namespace mobileinst
