#pragma once

#include <vector>

#include "core/aligned_buffer.h"
#include "core/tensor.h"
#include "core/thread_pool.h"
#include "kernels/kernel_table.h"
#include "kernels/preprocess/preprocess.h"

namespace mobileinst {

/// Brings frames of any size into an input tensor (height, width, 3) of floats or bytes. Tables and scratch
/// are kept from frame to frame, so nothing is allocated while the frames' size stays the same.
class FrameLoader {
  public:
    explicit FrameLoader(Tier tier) : tier_(tier) {}

    /// `args` gives frame, normalisation and order of colors; the rest is filled in. The caller holds the
    /// pool.
    void load(ThreadPool& pool, PreprocessArgs args, const Tensor& input);
    /// Normalised planes (3, height, width) as the nearest bytes, into an input of them.
    static void load_planes(const float* planes, const PreprocessArgs& normalisation, const Tensor& input);

  private:
    Tier tier_;
    std::vector<LinearTap> columns_;
    size_t frame_width_ = 0;
    AlignedBuffer scratch_;
};

}  // namespace mobileinst
