#pragma once

// Convolution and fully connected by XNNPACK, on maps as the kernels have them: (H, W, C), one image.

#include <cstddef>
#include <memory>

#include "core/activation.h"
#include "core/thread_pool.h"

struct xnn_operator;

namespace mobileinst::xnnpack {

/// Whether this build has XNNPACK and it runs on this machine (it needs /sys or /proc to tell the cores).
bool available();

/// A convolution with padding kernel / 2. Depthwise if groups = in_channels = out_channels.
struct Convolution {
    size_t height = 0, width = 0;  ///< of the input
    size_t in_channels = 0, out_channels = 0;
    size_t kernel = 1, stride = 1, groups = 1;
    size_t in_ld = 0, out_ld = 0;  ///< floats from one pixel to the next
    Activation activation = Activation::None;
};

/// Rows of tokens (rows, in_features) times weight (out_features, in_features).
struct FullyConnected {
    size_t rows = 0;
    size_t in_features = 0, out_features = 0;
    size_t in_ld = 0, out_ld = 0;
    Activation activation = Activation::None;
};

/// XNNPACK reads up to so many bytes behind the end of the input; their values don't matter.
constexpr size_t kReadAhead = 16;

/// One operator with its weights packed, prepared for one size. Results don't depend on the pool's threads.
class Operator {
  public:
    /// `weight` (out_channels, in_channels / groups, kernel, kernel) and `bias` (out_channels, or null) are
    /// copied. Throws std::invalid_argument for a shape or activation that XNNPACK has no operator for,
    /// std::runtime_error if it is not available.
    Operator(const Convolution& shape, const float* weight, const float* bias);
    Operator(const FullyConnected& shape, const float* weight, const float* bias);

    /// Bytes of scratch memory that run() needs, aligned to 64.
    size_t workspace_size() const { return workspace_size_; }

    /// Allocates nothing. The caller holds the pool's mutex.
    void run(const float* input, float* output, void* workspace, ThreadPool& pool) const;

  private:
    struct Delete {
        void operator()(xnn_operator* op) const;
    };

    std::unique_ptr<xnn_operator, Delete> operator_;
    [[maybe_unused]] bool convolution_ = false;  // a build without XNNPACK asks nothing
    size_t workspace_size_ = 0;
};

}  // namespace mobileinst::xnnpack
