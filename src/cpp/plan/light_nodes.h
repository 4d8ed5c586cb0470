#pragma once

#include <memory>
#include <optional>
#include <string>

#include "core/activation.h"
#include "core/aligned_buffer.h"
#include "core/tier.h"
#include "kernels/elementwise/elementwise.h"
#include "plan/node.h"

namespace mobileinst {

/// y = activation(op(a, b, c)); `b` and `c` where the operation takes them.
std::unique_ptr<Node> make_elementwise_node(std::string name, Tier tier, ElementwiseOp op, TensorId a,
                                            std::optional<TensorId> b, std::optional<TensorId> c, TensorId y,
                                            Activation activation);

/// Bilinear resize of `x` to the size of `y`, with what ResizeArgs adds to it.
std::unique_ptr<Node> make_resize_node(std::string name, Tier tier, TensorId x, std::optional<TensorId> local,
                                       std::optional<TensorId> shift, TensorId y, Activation activation);

/// Pooling of `x` to the size of `y`: adaptive, or with a window of odd size if that is not 0.
std::unique_ptr<Node> make_pool_node(std::string name, Tier tier, bool average, size_t window, TensorId x,
                                     TensorId y);

/// Layer norm over channels; weight and bias hold as many floats.
std::unique_ptr<Node> make_layer_norm_node(std::string name, Tier tier, TensorId x, AlignedBuffer weight,
                                           AlignedBuffer bias, float eps, TensorId y);

/// Multi-head attention of tokens.
std::unique_ptr<Node> make_attention_node(std::string name, Tier tier, TensorId q, TensorId k, TensorId v,
                                          size_t heads, float scale, Activation activation, TensorId y);

}  // namespace mobileinst
