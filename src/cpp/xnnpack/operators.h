#pragma once

// Convolution and fully connected by XNNPACK, on maps as the kernels have them: (H, W, C), one image.

#include <cstddef>
#include <cstdint>
#include <memory>

#include "core/activation.h"
#include "core/tensor.h"
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
    size_t in_ld = 0, out_ld = 0;  ///< elements from one pixel to the next
    Activation activation = Activation::None;
};

/// Rows of tokens (rows, in_features) times weight (out_features, in_features).
struct FullyConnected {
    size_t rows = 0;
    size_t in_features = 0, out_features = 0;
    size_t in_ld = 0, out_ld = 0;
    Activation activation = Activation::None;
};

/// What the integers of an operator stand for: input and output, and the weights of each output channel,
/// whose zero is 0. Sums times input.scale * weight_scale / output.scale are rounded to the nearest integer,
/// of two the even one, and only then is the output's zero added.
struct Quantised {
    Quantisation input, output;
    const float* weight_scale = nullptr;  ///< (out_channels,)
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
    /// The same of integers. The bias is in units of input.scale * weight_scale.
    Operator(const Convolution& shape, const Quantised& values, const int8_t* weight, const int32_t* bias);
    Operator(const FullyConnected& shape, const Quantised& values, const int8_t* weight, const int32_t* bias);

    /// Bytes of scratch memory that run() needs, aligned to 64.
    size_t workspace_size() const { return workspace_size_; }

    /// Input and output are of the type that the operator was made for. Allocates nothing. The caller holds
    /// the pool's mutex.
    void run(const void* input, void* output, void* workspace, ThreadPool& pool) const;

  private:
    /// XNNPACK's function that binds an operator to memory; gives its status.
    using Setup = int (*)(xnn_operator* op, void* workspace, const void* input, void* output);
    struct Delete {
        void operator()(xnn_operator* op) const;
    };

    std::unique_ptr<xnn_operator, Delete> operator_;
    [[maybe_unused]] Setup setup_ = nullptr;  // a build without XNNPACK asks nothing
    size_t workspace_size_ = 0;
};

}  // namespace mobileinst::xnnpack
