#pragma once

#include <cstddef>

#include "core/activation.h"
#include "core/dtype.h"
#include "core/tier.h"

namespace mobileinst {

/// Multi-head attention y = activation(softmax(scale * q k^T) v) over tokens, channels laid out [head][dim].
/// Output must not overlap any input.
struct AttentionArgs {
    Tensor query;      ///< (queries, heads * key_dim)
    Tensor key;        ///< (keys, heads * key_dim)
    Tensor value;      ///< (keys, heads * value_dim)
    Tensor output;     ///< (queries, heads * value_dim)
    size_t heads = 0;  ///< >= 1; divides the channels
    float scale = 1.0f;
    Activation activation = Activation::None;
};

struct AttentionKernels {
    /// Bytes of scratch that one run() needs; concurrent runs need one each, aligned to 64 bytes.
    size_t (*scratch_size)(const AttentionArgs& args);
    /// Computes heads [begin, end).
    void (*run)(const AttentionArgs& args, size_t begin, size_t end, void* scratch);
};

}  // namespace mobileinst
