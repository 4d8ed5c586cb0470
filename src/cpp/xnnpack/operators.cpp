#include "xnnpack/operators.h"

#include <pthreadpool.h>
#include <xnnpack.h>

#include <limits>
#include <stdexcept>
#include <string>
#include <vector>

namespace mobileinst::xnnpack {
namespace {

static_assert(kReadAhead >= XNN_EXTRA_BYTES);

struct Range {
    float low, high;
};

Range range_of(Activation activation) {
    constexpr float infinity = std::numeric_limits<float>::infinity();
    switch (activation) {
        case Activation::None:
            return {-infinity, infinity};
        case Activation::Relu:
            return {0.0f, infinity};
        case Activation::Relu6:
            return {0.0f, 6.0f};
        case Activation::HardSigmoid:
        case Activation::Silu:
            break;
    }
    throw std::invalid_argument(std::string("XNNPACK: expected no activation, relu or relu6, got ") +
                                (activation == Activation::Silu ? "silu" : "hard_sigmoid"));
}

void check(xnn_status status, const char* step) {
    if (status == xnn_status_invalid_parameter || status == xnn_status_unsupported_parameter) {
        throw std::invalid_argument(std::string("XNNPACK: ") + step + ": unsupported shape");
    }
    if (status != xnn_status_success) {
        throw std::runtime_error(std::string("XNNPACK: ") + step + " failed, status " +
                                 std::to_string(status));
    }
}

void check_available() {
    if (!available()) {
        throw std::runtime_error("XNNPACK can't run on this machine");
    }
}

/// (O, I, k, k) to XNNPACK's (O, k, k, I).
std::vector<float> channels_last(const float* weight, size_t outputs, size_t inputs, size_t taps) {
    std::vector<float> result(outputs * inputs * taps);
    for (size_t o = 0; o < outputs; ++o) {
        for (size_t i = 0; i < inputs; ++i) {
            for (size_t t = 0; t < taps; ++t) {
                result[(o * taps + t) * inputs + i] = weight[(o * inputs + i) * taps + t];
            }
        }
    }
    return result;
}

/// XNNPACK hands its work to the pool through thread_pool_adapter.cpp.
pthreadpool_t adapt(ThreadPool& pool) { return reinterpret_cast<pthreadpool_t>(&pool); }

}  // namespace

bool available() {
    static const bool initialised = xnn_initialize(nullptr) == xnn_status_success;
    return initialised;
}

void Operator::Delete::operator()(xnn_operator* op) const { xnn_delete_operator(op); }

Operator::Operator(const Convolution& shape, const float* weight, const float* bias) : convolution_(true) {
    check_available();
    if (shape.groups == 0 || shape.in_channels % shape.groups != 0 ||
        shape.out_channels % shape.groups != 0) {
        throw std::invalid_argument("XNNPACK: channels do not divide into " + std::to_string(shape.groups) +
                                    " groups");
    }
    const auto [low, high] = range_of(shape.activation);
    const size_t inputs = shape.in_channels / shape.groups;
    const auto kernel = static_cast<uint32_t>(shape.kernel), stride = static_cast<uint32_t>(shape.stride);
    const uint32_t padding = kernel / 2;
    const std::vector<float> packed =
        channels_last(weight, shape.out_channels, inputs, shape.kernel * shape.kernel);
    xnn_operator_t created = nullptr;
    check(xnn_create_convolution2d_nhwc_f32(padding, padding, padding, padding, kernel, kernel, stride,
                                            stride, 1, 1, static_cast<uint32_t>(shape.groups), inputs,
                                            shape.out_channels / shape.groups, shape.in_ld, shape.out_ld,
                                            packed.data(), bias, low, high, 0, nullptr, nullptr, &created),
          "convolution");
    operator_.reset(created);
    size_t alignment = 0, height = 0, width = 0;
    check(xnn_reshape_convolution2d_nhwc_f32(created, 1, shape.height, shape.width, &workspace_size_,
                                             &alignment, &height, &width, nullptr),
          "convolution of this size");
}

Operator::Operator(const FullyConnected& shape, const float* weight, const float* bias) {
    check_available();
    const auto [low, high] = range_of(shape.activation);
    xnn_operator_t created = nullptr;
    check(xnn_create_fully_connected_nc_f32(shape.in_features, shape.out_features, shape.in_ld, shape.out_ld,
                                            weight, bias, low, high, 0, nullptr, nullptr, &created),
          "fully connected");
    operator_.reset(created);
    check(xnn_reshape_fully_connected_nc_f32(created, shape.rows, nullptr), "fully connected of this size");
}

void Operator::run(const float* input, float* output, void* workspace, ThreadPool& pool) const {
    xnn_operator_t op = operator_.get();
    check(convolution_ ? xnn_setup_convolution2d_nhwc_f32(op, workspace, input, output)
                       : xnn_setup_fully_connected_nc_f32(op, input, output),
          "setup");
    check(xnn_run_operator(op, adapt(pool)), "run");
}

}  // namespace mobileinst::xnnpack
