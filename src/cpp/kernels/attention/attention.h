#pragma once

#include <cstddef>

#include "core/activation.h"
#include "core/dtype.h"
#include "core/tier.h"

namespace mobileinst {

/// Multi-head attention y = activation(softmax(scale * q k^T) v) over tokens, channels laid out [head][dim].
/// Output must not overlap any input.
struct AttentionArgs {
    const float* query = nullptr;  ///< (queries, heads * key_dim)
    size_t query_ld = 0;
    const float* key = nullptr;  ///< (keys, heads * key_dim)
    size_t key_ld = 0;
    const float* value = nullptr;  ///< (keys, heads * value_dim)
    size_t value_ld = 0;
    float* output = nullptr;  ///< (queries, heads * value_dim)
    size_t output_ld = 0;
    size_t queries = 0, keys = 0, heads = 0, key_dim = 0, value_dim = 0;  ///< each >= 1
    float scale = 1.0f;
    Activation activation = Activation::None;
};

struct AttentionKernels {
    /// Floats of scratch that one run() needs; concurrent runs need one each, 64-byte aligned.
    size_t (*scratch_size)(const AttentionArgs& args);
    /// Computes heads [begin, end).
    void (*run)(const AttentionArgs& args, size_t begin, size_t end, float* scratch);
};

/// The kernels of a tier; throws std::invalid_argument if this build lacks them.
const AttentionKernels& attention_kernels(Tier tier, DType dtype = DType::Float32);

}  // namespace mobileinst
