// Operators of integers. A file of its own: without callers the linker leaves it, and its micro-kernels, out.

#include <xnnpack.h>

#include <algorithm>
#include <cmath>
#include <vector>

#include "xnnpack/operators.h"
#include "xnnpack/steps.h"

namespace mobileinst::xnnpack {
namespace {

struct Range {
    int8_t low, high;
};

Range range_of(Activation activation, Quantisation output) {
    check_limits(activation);
    Range range{-128, 127};
    if (activation != Activation::None) {
        range.low = static_cast<int8_t>(output.zero);
    }
    if (activation == Activation::Relu6) {
        const float steps = static_cast<float>(output.zero) + std::nearbyint(6.0f / output.scale);
        range.high = static_cast<int8_t>(std::min(steps, 127.0f));
    }
    return range;
}

}  // namespace

Operator::Operator(const Convolution& shape, const Quantised& values, const int8_t* weight,
                   const int32_t* bias)
    : setup_([](xnn_operator* op, void* workspace, const void* input, void* output) -> int {
          return xnn_setup_convolution2d_nhwc_qs8_qc8w(op, workspace, static_cast<const int8_t*>(input),
                                                       static_cast<int8_t*>(output));
      }) {
    check_available();
    check_groups(shape);
    const auto [low, high] = range_of(shape.activation, values.output);
    const auto kernel = static_cast<uint32_t>(shape.kernel), stride = static_cast<uint32_t>(shape.stride);
    const uint32_t padding = kernel / 2;
    const std::vector<int8_t> packed = channels_last(shape, weight);
    xnn_operator_t created = nullptr;
    check(xnn_create_convolution2d_nhwc_qs8_qc8w(
              padding, padding, padding, padding, kernel, kernel, stride, stride, 1, 1,
              static_cast<uint32_t>(shape.groups), shape.in_channels / shape.groups,
              shape.out_channels / shape.groups, shape.in_ld, shape.out_ld,
              static_cast<int8_t>(values.input.zero), values.input.scale, values.weight_scale, packed.data(),
              bias, static_cast<int8_t>(values.output.zero), values.output.scale, low, high, 0, nullptr,
              nullptr, &created),
          "convolution");
    operator_.reset(created);
    size_t alignment = 0, height = 0, width = 0;
    check(xnn_reshape_convolution2d_nhwc_qs8_qc8w(created, 1, shape.height, shape.width, &workspace_size_,
                                                  &alignment, &height, &width, nullptr),
          "convolution of this size");
}

Operator::Operator(const FullyConnected& shape, const Quantised& values, const int8_t* weight,
                   const int32_t* bias)
    : setup_([](xnn_operator* op, void*, const void* input, void* output) -> int {
          return xnn_setup_fully_connected_nc_qs8_qc8w(op, static_cast<const int8_t*>(input),
                                                       static_cast<int8_t*>(output));
      }) {
    check_available();
    const auto [low, high] = range_of(shape.activation, values.output);
    xnn_operator_t created = nullptr;
    check(xnn_create_fully_connected_nc_qs8_qc8w(shape.in_features, shape.out_features, shape.in_ld,
                                                 shape.out_ld, static_cast<int8_t>(values.input.zero),
                                                 values.input.scale, values.weight_scale, weight, bias,
                                                 static_cast<int8_t>(values.output.zero), values.output.scale,
                                                 low, high, 0, nullptr, nullptr, &created),
          "fully connected");
    operator_.reset(created);
    check(xnn_reshape_fully_connected_nc_qs8_qc8w(created, shape.rows, nullptr),
          "fully connected of this size");
}

}  // namespace mobileinst::xnnpack
