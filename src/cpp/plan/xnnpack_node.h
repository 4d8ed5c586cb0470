#pragma once

#include <memory>

#include "plan/conv_nodes.h"

namespace mobileinst {

/// Whether XNNPACK computes that convolution: the weights were made for it, and it has such an operator.
bool xnnpack_takes(const ConvNodeSpec& spec);

std::unique_ptr<Node> make_xnnpack_node(ConvNodeSpec spec);

}  // namespace mobileinst
