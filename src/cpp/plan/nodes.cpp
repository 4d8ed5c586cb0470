#include "plan/nodes.h"

#include <algorithm>
#include <iterator>

namespace mobileinst {

// One function per file of nodes/.
using MakeNode = std::unique_ptr<Node>(NodeSpec& spec, const std::vector<Tensor>& tensors);
MakeNode make_attention_node, make_axial_attention_node, make_conv_node, make_convert_node,
    make_elementwise_node, make_inverted_residual_node, make_layer_norm_node, make_pool_node,
    make_resize_node, make_select_node, make_xnnpack_node;

namespace {

/// Types of the tensors of a node: one, any mixture that the node checks itself, or float32 alone.
enum class Types { One, Any, Floats };

struct Operation {
    const char* name;
    MakeNode* make;
    Types types = Types::One;
};

constexpr Operation kOperations[] = {
    {"add", make_elementwise_node},       {"attention", make_attention_node},
    {"average_pool", make_pool_node},     {"axial_attention", make_axial_attention_node},
    {"conv", make_conv_node, Types::Any}, {"convert", make_convert_node, Types::Any},
    {"copy", make_elementwise_node},      {"inverted_residual", make_inverted_residual_node},
    {"layer_norm", make_layer_norm_node}, {"max_pool", make_pool_node},
    {"multiply", make_elementwise_node},  {"multiply_add", make_elementwise_node},
    {"resize", make_resize_node},         {"select", make_select_node, Types::Floats},
    {"window_max", make_pool_node},       {"xnnpack", make_xnnpack_node, Types::Floats},
};

}  // namespace

std::unique_ptr<Node> make_node(NodeSpec spec, const std::vector<Tensor>& tensors) {
    const auto* found = std::find_if(std::begin(kOperations), std::end(kOperations),
                                     [&](const Operation& known) { return spec.op == known.name; });
    spec.expect(found != std::end(kOperations), "an operation that plans have, got '" + spec.op + "'");
    spec.dtype = tensors[spec.output].dtype;
    for (const TensorId input : spec.inputs) {
        spec.expect(found->types == Types::Any || tensors[input].dtype == spec.dtype,
                    std::string("tensors of one type, got ") + dtype_name(tensors[input].dtype) + " and " +
                        dtype_name(spec.dtype));
    }
    spec.expect(found->types != Types::Floats || spec.dtype == DType::Float32,
                std::string("tensors of float32, got ") + dtype_name(spec.dtype));
    auto node = found->make(spec, tensors);
    spec.expect(
        spec.attributes.empty(),
        "no attribute " + (spec.attributes.empty() ? "" : spec.attributes.begin()->first) + " of " + spec.op);
    return node;
}

}  // namespace mobileinst
