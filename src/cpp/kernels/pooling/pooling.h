#pragma once

#include <cstddef>

#include "core/dtype.h"
#include "core/tier.h"

namespace mobileinst {

/// Adaptive pooling of one map: output row i reads input rows floor(i * in / out) to ceil((i + 1) * in /
/// out), as PyTorch does; columns likewise. Output must not overlap input.
struct PoolArgs {
    const float* input = nullptr;  ///< (height, width, channels)
    size_t input_ld = 0;
    float* output = nullptr;  ///< (out_height, out_width, channels)
    size_t output_ld = 0;
    size_t height = 0, width = 0, out_height = 0, out_width = 0, channels = 0;  ///< each >= 1
};

/// Rows or columns [begin, end) that an output position reads.
struct PoolBin {
    size_t begin, end;
};

static inline PoolBin pool_bin(size_t position, size_t in, size_t out) {
    return {position * in / out, ((position + 1) * in + out - 1) / out};
}

struct PoolKernels {
    /// Both compute output pixels [begin, end) of [0, out_height * out_width).
    void (*average)(const PoolArgs& args, size_t begin, size_t end);
    void (*maximum)(const PoolArgs& args, size_t begin, size_t end);
};

/// The kernels of a tier; throws std::invalid_argument if this build lacks them.
const PoolKernels& pool_kernels(Tier tier, DType dtype = DType::Float32);

}  // namespace mobileinst
