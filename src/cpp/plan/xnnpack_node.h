#pragma once

#include <cstddef>
#include <memory>
#include <string>

#include "core/activation.h"
#include "plan/conv_weights.h"
#include "plan/node.h"

namespace mobileinst {

/// A convolution or linear layer of `x` into `y` with its activation, by XNNPACK. Shapes must fit.
struct XnnpackNodeSpec {
    std::string name;
    TensorId x = 0, y = 0;
    ConvSpec conv;
    Activation activation = Activation::None;
    size_t height = 0, width = 0;  ///< of the input
    size_t in_ld = 0, out_ld = 0;  ///< floats from one pixel to the next
};

/// Packs the weights; they are not needed afterwards. Throws as xnnpack::Operator does.
std::unique_ptr<Node> make_xnnpack_node(const XnnpackNodeSpec& spec, const float* weight, const float* bias);

}  // namespace mobileinst
