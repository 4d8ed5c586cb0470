#pragma once

#include <cstddef>

#include "core/dtype.h"
#include "core/tensor.h"
#include "core/tier.h"

namespace mobileinst {

/// Pooling of one map. Adaptive: output row i reads input rows floor(i * in / out) to ceil((i + 1) * in /
/// out), as PyTorch does; columns likewise. With a window, of odd size, it reads as many around row i.
/// Output must not overlap input.
struct PoolArgs {
    Tensor input, output;
    size_t window = 0;  ///< 0: adaptive
};

/// Rows or columns [begin, end) that an output position reads.
struct PoolBin {
    size_t begin, end;
};

static inline PoolBin pool_bin(size_t position, size_t in, size_t out, size_t window) {
    if (window > 0) {
        const size_t reach = window / 2, end = position + reach + 1;
        return {position < reach ? 0 : position - reach, end < in ? end : in};
    }
    return {position * in / out, ((position + 1) * in + out - 1) / out};
}

struct PoolKernels {
    /// Both compute output pixels [begin, end) of [0, output.pixels()).
    void (*average)(const PoolArgs& args, size_t begin, size_t end);
    void (*maximum)(const PoolArgs& args, size_t begin, size_t end);
};

}  // namespace mobileinst
