#include <algorithm>
#include <cmath>
#include <limits>
#include <optional>
#include <tuple>

#include "core/aligned_buffer.h"
#include "core/thread_pool.h"
#include "testing/testing.h"
#include "xnnpack/operators.h"

namespace mobileinst {
namespace {

size_t extent(const py::array& array, int axis) { return static_cast<size_t>(array.shape(axis)); }

/// What integers stand for: input (scale, zero), scales of the weights (O,), output (scale, zero).
using QuantisationArgument = std::tuple<std::pair<float, int>, py::object, std::pair<float, int>>;

/// Whole numbers as a type; throws std::invalid_argument naming the array if it holds others.
template <typename T>
std::vector<T> whole(const float* values, size_t count, const char* name) {
    std::vector<T> result(count);
    for (size_t i = 0; i < count; ++i) {
        // As a double, which holds all of them.
        const double value = static_cast<double>(values[i]);
        if (!(value >= std::numeric_limits<T>::min() && value <= std::numeric_limits<T>::max() &&
              value == std::nearbyint(value))) {
            throw std::invalid_argument(std::string(name) + ": expected whole numbers of the type, got " +
                                        std::to_string(value));
        }
        result[i] = static_cast<T>(value);
    }
    return result;
}

/// The elements with the bytes behind them that XNNPACK may read.
template <typename T>
std::vector<T> padded(std::vector<T> elements) {
    elements.resize(elements.size() + xnnpack::kReadAhead / sizeof(T));
    return elements;
}

/// Throws unless weight is (O, channels / groups, k, k) with odd k.
void check_weight(const FloatArray& weight, size_t channels, size_t groups) {
    if (extent(weight, 1) * groups != channels || extent(weight, 2) != extent(weight, 3) ||
        extent(weight, 2) % 2 == 0) {
        throw std::invalid_argument("weight: expected (O, channels / groups, k, k) with odd k, got " +
                                    shape_text({weight.shape(), weight.shape() + 4}));
    }
}

/// How an operator runs.
struct Setting {
    Activation activation;
    size_t threads;
    Execution& execution;
    std::optional<QuantisationArgument> quantisation;  ///< of integers
};

void run(const xnnpack::Operator& op, const void* input, void* output, const Setting& setting) {
    AlignedBuffer workspace(op.workspace_size());
    check_range("threads", static_cast<long long>(setting.threads), 1, 64);
    ThreadPool pool(setting.threads);
    setting.execution(1, [&](size_t, size_t) { op.run(input, output, workspace.data(), pool); });
}

/// Runs an operator of floats, or of the integers that the arrays hold, on an array; `bias` may be null.
template <typename Shape>
FloatArray run(const Shape& shape, const FloatArray& x, const FloatArray& weight, const float* bias,
               const std::vector<py::ssize_t>& out_shape, const Setting& setting) {
    FloatArray out(out_shape);
    const auto count = static_cast<size_t>(x.size());
    if (!setting.quantisation) {
        const std::vector<float> input = padded(std::vector<float>(x.data(), x.data() + count));
        run(xnnpack::Operator(shape, weight.data(), bias), input.data(), out.mutable_data(), setting);
        return out;
    }
    const auto& [from, scale, to] = *setting.quantisation;
    const auto scales = checked_array<float>(scale, "quantisation", {weight.shape(0)});
    const auto input = padded(whole<int8_t>(x.data(), count, "x"));
    const auto weights = whole<int8_t>(weight.data(), static_cast<size_t>(weight.size()), "weight");
    std::vector<int32_t> biases;
    if (bias != nullptr) {
        biases = whole<int32_t>(bias, extent(weight, 0), "bias");
    }
    const xnnpack::Quantised values{{from.first, from.second}, {to.first, to.second}, scales.data()};
    std::vector<int8_t> output(static_cast<size_t>(out.size()));
    run(xnnpack::Operator(shape, values, weights.data(), bias == nullptr ? nullptr : biases.data()),
        input.data(), output.data(), setting);
    std::copy(output.begin(), output.end(), out.mutable_data());
    return out;
}

/// `bias` may be null.
FloatArray convolution(const FloatArray& map, const FloatArray& weight, const float* bias, size_t stride,
                       size_t groups, const Setting& setting) {
    check_range("stride", static_cast<long long>(stride), 1, 16);
    check_range("groups", static_cast<long long>(groups), 1, 1 << 20);
    check_weight(weight, extent(map, 2), groups);
    xnnpack::Convolution shape;
    shape.height = extent(map, 0);
    shape.width = extent(map, 1);
    shape.in_channels = shape.in_ld = extent(map, 2);
    shape.out_channels = shape.out_ld = extent(weight, 0);
    shape.kernel = extent(weight, 2);
    shape.stride = stride;
    shape.groups = groups;
    shape.activation = setting.activation;
    const auto strided = [&](py::ssize_t size) { return (size - 1) / static_cast<py::ssize_t>(stride) + 1; };
    return run(shape, map, weight, bias, {strided(map.shape(0)), strided(map.shape(1)), weight.shape(0)},
               setting);
}

FloatArray linear(const FloatArray& rows, const FloatArray& weight, const float* bias,
                  const Setting& setting) {
    xnnpack::FullyConnected shape;
    shape.rows = extent(rows, 0);
    shape.in_features = shape.in_ld = extent(rows, 1);
    shape.out_features = shape.out_ld = extent(weight, 0);
    shape.activation = setting.activation;
    return run(shape, rows, weight, bias, {rows.shape(0), weight.shape(0)}, setting);
}

FloatArray test_convolution(const py::object& x, const py::object& weight, const py::object& bias,
                            size_t stride, size_t groups, const py::object& activation, size_t threads,
                            const std::optional<QuantisationArgument>& quantisation) {
    const auto map = checked_array<float>(x, "x", {kAny, kAny, kAny});
    const auto w = checked_array<float>(weight, "weight", {kAny, kAny, kAny, kAny});
    const auto b = checked_array<float>(bias, "bias", {w.shape(0)});
    Execution once;
    return convolution(map, w, b.data(), stride, groups,
                       {activation_argument(activation), threads, once, quantisation});
}

FloatArray test_linear(const py::object& x, const py::object& weight, const py::object& bias,
                       const py::object& activation, size_t threads,
                       const std::optional<QuantisationArgument>& quantisation) {
    const auto rows = checked_array<float>(x, "x", {kAny, kAny});
    const auto w = checked_array<float>(weight, "weight", {kAny, rows.shape(1)});
    const auto b = checked_array<float>(bias, "bias", {w.shape(0)});
    Execution once;
    return linear(rows, w, b.data(), {activation_argument(activation), threads, once, quantisation});
}

py::tuple time_operator(const std::string& kernel, const py::object& x, const py::object& weight,
                        size_t stride, size_t repeats,
                        const std::optional<QuantisationArgument>& quantisation) {
    check_range("repeats", static_cast<long long>(repeats), 1, 1'000'000);
    Execution execution;
    execution.timed = repeats;
    const Setting setting{Activation::Relu, 1, execution, quantisation};
    FloatArray out;
    if (kernel == "gemm") {
        const auto rows = checked_array<float>(x, "x", {kAny, kAny});
        const auto w = checked_array<float>(weight, "weight", {kAny, rows.shape(1)});
        out = linear(rows, w, nullptr, setting);
    } else {
        const auto map = checked_array<float>(x, "x", {kAny, kAny, kAny});
        const auto w = checked_array<float>(weight, "weight", {kAny, kAny, kAny, kAny});
        out =
            convolution(map, w, nullptr, stride, std::max<size_t>(1, extent(map, 2) / extent(w, 1)), setting);
    }
    return py::make_tuple(execution.seconds, out);
}

}  // namespace

void register_xnnpack_operators(py::module_& module, py::module_& timing) {
    using py::arg;
    timing.def("xnnpack", &time_operator, arg("kernel"), arg("x"), arg("weight"), arg("stride") = 1,
               arg("repeats") = 1, arg("quantisation") = py::none(),
               "As the other functions, by XNNPACK's operator for that kernel, with a ReLU; of integers as "
               "`_testing.xnnpack` has them.");
    auto operators =
        module.def_submodule("xnnpack",
                             "XNNPACK's operators on NumPy arrays. With `quantisation`, ((scale, zero) of x, "
                             "float32 (O,) scales of the weights, (scale, zero) of the "
                             "result), all arrays hold 8-bit integers, the bias 32-bit "
                             "ones, as float32.");
    operators.def(
        "convolution", &test_convolution, arg("x"), arg("weight"), arg("bias"), py::kw_only(),
        arg("stride") = 1, arg("groups") = 1, arg("activation") = py::none(), arg("threads") = 1,
        arg("quantisation") = py::none(),
        "Map float32 (H, W, C) to (ceil(H / stride), ceil(W / stride), O); weight (O, C / groups, k, k), "
        "padding k // 2.");
    operators.def("linear", &test_linear, arg("x"), arg("weight"), arg("bias"), py::kw_only(),
                  arg("activation") = py::none(), arg("threads") = 1, arg("quantisation") = py::none(),
                  "Rows float32 (N, I) times weight (O, I), plus bias (O,).");
}

}  // namespace mobileinst
