#include "core/aligned_buffer.h"
#include "core/thread_pool.h"
#include "testing/testing.h"
#include "xnnpack/operators.h"

namespace mobileinst {
namespace {

size_t extent(const py::array& array, int axis) { return static_cast<size_t>(array.shape(axis)); }

/// The input with the bytes behind it that XNNPACK may read.
std::vector<float> padded(const FloatArray& x) {
    std::vector<float> result(x.data(), x.data() + x.size());
    result.resize(result.size() + xnnpack::kReadAhead / sizeof(float));
    return result;
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
};

FloatArray run(const xnnpack::Operator& op, const FloatArray& x, const std::vector<py::ssize_t>& shape,
               const Setting& setting) {
    FloatArray out(shape);
    const std::vector<float> input = padded(x);
    float* output = out.mutable_data();
    AlignedBuffer workspace(op.workspace_size());
    check_range("threads", static_cast<long long>(setting.threads), 1, 64);
    ThreadPool pool(setting.threads);
    setting.execution(1, [&](size_t, size_t) { op.run(input.data(), output, workspace.data(), pool); });
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
    return run({shape, weight.data(), bias}, map,
               {strided(map.shape(0)), strided(map.shape(1)), weight.shape(0)}, setting);
}

FloatArray linear(const FloatArray& rows, const FloatArray& weight, const float* bias,
                  const Setting& setting) {
    xnnpack::FullyConnected shape;
    shape.rows = extent(rows, 0);
    shape.in_features = shape.in_ld = extent(rows, 1);
    shape.out_features = shape.out_ld = extent(weight, 0);
    shape.activation = setting.activation;
    return run({shape, weight.data(), bias}, rows, {rows.shape(0), weight.shape(0)}, setting);
}

FloatArray test_convolution(const py::object& x, const py::object& weight, const py::object& bias,
                            size_t stride, size_t groups, const py::object& activation, size_t threads) {
    const auto map = checked_array<float>(x, "x", {kAny, kAny, kAny});
    const auto w = checked_array<float>(weight, "weight", {kAny, kAny, kAny, kAny});
    const auto b = checked_array<float>(bias, "bias", {w.shape(0)});
    Execution once;
    return convolution(map, w, b.data(), stride, groups, {activation_argument(activation), threads, once});
}

FloatArray test_linear(const py::object& x, const py::object& weight, const py::object& bias,
                       const py::object& activation, size_t threads) {
    const auto rows = checked_array<float>(x, "x", {kAny, kAny});
    const auto w = checked_array<float>(weight, "weight", {kAny, rows.shape(1)});
    const auto b = checked_array<float>(bias, "bias", {w.shape(0)});
    Execution once;
    return linear(rows, w, b.data(), {activation_argument(activation), threads, once});
}

py::tuple time_operator(const std::string& kernel, const py::object& x, const py::object& weight,
                        size_t stride, size_t repeats) {
    check_range("repeats", static_cast<long long>(repeats), 1, 1'000'000);
    Execution execution;
    execution.timed = repeats;
    const Setting setting{Activation::Relu, 1, execution};
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
               arg("repeats") = 1,
               "As the other functions, by XNNPACK's operator for that kernel, with a ReLU.");
    auto operators = module.def_submodule("xnnpack", "XNNPACK's operators on NumPy arrays.");
    operators.def(
        "convolution", &test_convolution, arg("x"), arg("weight"), arg("bias"), py::kw_only(),
        arg("stride") = 1, arg("groups") = 1, arg("activation") = py::none(), arg("threads") = 1,
        "Map float32 (H, W, C) to (ceil(H / stride), ceil(W / stride), O); weight (O, C / groups, k, k), "
        "padding k // 2.");
    operators.def("linear", &test_linear, arg("x"), arg("weight"), arg("bias"), py::kw_only(),
                  arg("activation") = py::none(), arg("threads") = 1,
                  "Rows float32 (N, I) times weight (O, I), plus bias (O,).");
}

}  // namespace mobileinst
