#pragma once

#include "core/aligned_buffer.h"
#include "core/tensor.h"
#include "core/thread_pool.h"
#include "core/tier.h"

namespace mobileinst {

/// Mask logits of live kernels over a plan's mask features. Its memory grows with the number of kernels and
/// is kept.
class MaskHead {
  public:
    explicit MaskHead(Tier tier) : tier_(tier) {}

    /// `kernels` is (count, features.channels), `output` (count, features.pixels()), both contiguous; count
    /// >= 1. The caller holds the pool.
    void run(ThreadPool& pool, const Tensor& features, const float* kernels, size_t count, float* output);

  private:
    Tier tier_;
    AlignedBuffer packed_, scratch_;
};

}  // namespace mobileinst
