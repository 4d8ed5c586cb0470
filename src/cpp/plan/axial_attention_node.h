#pragma once

#include <memory>
#include <string>

#include "core/aligned_buffer.h"
#include "core/tier.h"
#include "kernels/axial_attention/axial_attention.h"
#include "plan/conv_weights.h"
#include "plan/node.h"

namespace mobileinst {

/// Parameters of one axis of squeezed axial attention.
struct AxialParameters {
    AlignedBuffer query_positions, key_positions;  ///< (length, key channels)
    std::shared_ptr<const ConvWeights> encode;     ///< 1x1, value channels to value channels
};

/// relu6(v + rows + columns), see AxialAttentionArgs; `rows` and `columns` fit the maps.
std::unique_ptr<Node> make_axial_attention_node(std::string name, Tier tier, TensorId q, TensorId k,
                                                TensorId v, size_t heads, float scale, AxialParameters rows,
                                                AxialParameters columns, TensorId y);

}  // namespace mobileinst
