#include "plan/nodes.h"

#include <algorithm>
#include <iterator>

namespace mobileinst {

// One function per file of nodes/.
using MakeNode = std::unique_ptr<Node>(NodeSpec& spec, const std::vector<Tensor>& tensors);
MakeNode make_attention_node, make_axial_attention_node, make_conv_node, make_elementwise_node,
    make_inverted_residual_node, make_layer_norm_node, make_pool_node, make_resize_node, make_select_node,
    make_xnnpack_node;

namespace {

struct Operation {
    const char* name;
    MakeNode* make;
};

constexpr Operation kOperations[] = {
    {"add", make_elementwise_node},
    {"attention", make_attention_node},
    {"average_pool", make_pool_node},
    {"axial_attention", make_axial_attention_node},
    {"conv", make_conv_node},
    {"copy", make_elementwise_node},
    {"inverted_residual", make_inverted_residual_node},
    {"layer_norm", make_layer_norm_node},
    {"max_pool", make_pool_node},
    {"multiply", make_elementwise_node},
    {"multiply_add", make_elementwise_node},
    {"resize", make_resize_node},
    {"select", make_select_node},
    {"window_max", make_pool_node},
    {"xnnpack", make_xnnpack_node},
};

}  // namespace

std::unique_ptr<Node> make_node(NodeSpec spec, const std::vector<Tensor>& tensors) {
    const auto* found = std::find_if(std::begin(kOperations), std::end(kOperations),
                                     [&](const Operation& known) { return spec.op == known.name; });
    spec.expect(found != std::end(kOperations), "an operation that plans have, got '" + spec.op + "'");
    auto node = found->make(spec, tensors);
    spec.expect(
        spec.attributes.empty(),
        "no attribute " + (spec.attributes.empty() ? "" : spec.attributes.begin()->first) + " of " + spec.op);
    return node;
}

}  // namespace mobileinst
