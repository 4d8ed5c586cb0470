#include "xnnpack/operators.h"

#include <pthreadpool.h>
#include <xnnpack.h>

#include <limits>
#include <vector>

#include "xnnpack/steps.h"

namespace mobileinst::xnnpack {
namespace {

static_assert(kReadAhead >= XNN_EXTRA_BYTES);

struct Range {
    float low, high;
};

Range range_of(Activation activation) {
    check_limits(activation);
    constexpr float infinity = std::numeric_limits<float>::infinity();
    return {activation == Activation::None ? -infinity : 0.0f,
            activation == Activation::Relu6 ? 6.0f : infinity};
}

/// XNNPACK hands its work to the pool through thread_pool_adapter.cpp.
pthreadpool_t adapt(ThreadPool& pool) { return reinterpret_cast<pthreadpool_t>(&pool); }

}  // namespace

bool available() {
    static const bool initialised = xnn_initialize(nullptr) == xnn_status_success;
    return initialised;
}

void Operator::Delete::operator()(xnn_operator* op) const { xnn_delete_operator(op); }

Operator::Operator(const Convolution& shape, const float* weight, const float* bias)
    : setup_([](xnn_operator* op, void* workspace, const void* input, void* output) -> int {
          return xnn_setup_convolution2d_nhwc_f32(op, workspace, static_cast<const float*>(input),
                                                  static_cast<float*>(output));
      }) {
    check_available();
    check_groups(shape);
    const auto [low, high] = range_of(shape.activation);
    const auto kernel = static_cast<uint32_t>(shape.kernel), stride = static_cast<uint32_t>(shape.stride);
    const uint32_t padding = kernel / 2;
    const std::vector<float> packed = channels_last(shape, weight);
    xnn_operator_t created = nullptr;
    check(xnn_create_convolution2d_nhwc_f32(padding, padding, padding, padding, kernel, kernel, stride,
                                            stride, 1, 1, static_cast<uint32_t>(shape.groups),
                                            shape.in_channels / shape.groups,
                                            shape.out_channels / shape.groups, shape.in_ld, shape.out_ld,
                                            packed.data(), bias, low, high, 0, nullptr, nullptr, &created),
          "convolution");
    operator_.reset(created);
    size_t alignment = 0, height = 0, width = 0;
    check(xnn_reshape_convolution2d_nhwc_f32(created, 1, shape.height, shape.width, &workspace_size_,
                                             &alignment, &height, &width, nullptr),
          "convolution of this size");
}

Operator::Operator(const FullyConnected& shape, const float* weight, const float* bias)
    : setup_([](xnn_operator* op, void*, const void* input, void* output) -> int {
          return xnn_setup_fully_connected_nc_f32(op, static_cast<const float*>(input),
                                                  static_cast<float*>(output));
      }) {
    check_available();
    const auto [low, high] = range_of(shape.activation);
    xnn_operator_t created = nullptr;
    check(xnn_create_fully_connected_nc_f32(shape.in_features, shape.out_features, shape.in_ld, shape.out_ld,
                                            weight, bias, low, high, 0, nullptr, nullptr, &created),
          "fully connected");
    operator_.reset(created);
    check(xnn_reshape_fully_connected_nc_f32(created, shape.rows, nullptr), "fully connected of this size");
}

void Operator::run(const void* input, void* output, void* workspace, ThreadPool& pool) const {
    xnn_operator_t op = operator_.get();
    check(static_cast<xnn_status>(setup_(op, workspace, input, output)), "setup");
    check(xnn_run_operator(op, adapt(pool)), "run");
}

}  // namespace mobileinst::xnnpack
