#pragma once

#include "core/aligned_buffer.h"
#include "core/tensor.h"
#include "core/thread_pool.h"
#include "core/tier.h"

namespace mobileinst {

/// Kernels, one after the other, and the map that they are multiplied with.
struct MaskKernels {
    const float* values;  ///< (count, channels)
    size_t count, channels;
    /// Null if the map has as many channels as the kernels. Else it is what mask features are projected from:
    /// W x + b is replaced by x, and each kernel k by W^T k and the bias k.b. This is (C + 1, channels), W^T
    /// above b, for a map of C channels.
    const float* projection;
};

/// Mask logits of live kernels over a map of a plan. Its memory grows with the number of kernels and is kept.
class MaskHead {
  public:
    explicit MaskHead(Tier tier) : tier_(tier) {}

    /// `output` is (count, map.pixels()), contiguous; count >= 1. The caller holds the pool.
    void run(ThreadPool& pool, const Tensor& map, const MaskKernels& kernels, float* output);

  private:
    void project(const MaskKernels& kernels, size_t channels);

    Tier tier_;
    AlignedBuffer packed_, scratch_, projected_, bias_;
};

}  // namespace mobileinst
