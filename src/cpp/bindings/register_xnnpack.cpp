#include <chrono>

#include "bindings/bindings.h"
#include "core/aligned_buffer.h"
#include "core/thread_pool.h"
#include "xnnpack/operators.h"

namespace mobileinst {
namespace {

size_t extent(const py::array& array, int axis) { return static_cast<size_t>(array.shape(axis)); }

/// The input with the floats behind it that XNNPACK may read.
std::vector<float> padded(const FloatArray& x) {
    std::vector<float> result(x.data(), x.data() + x.size());
    result.resize(result.size() + xnnpack::kReadAhead);
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

FloatArray run(const xnnpack::Operator& op, const FloatArray& x, const std::vector<py::ssize_t>& shape,
               ThreadPool& pool) {
    FloatArray out(shape);
    const std::vector<float> input = padded(x);
    float* output = out.mutable_data();
    const py::gil_scoped_release release;
    AlignedBuffer workspace(op.workspace_size() / sizeof(float) + 1);
    const std::lock_guard lock(pool.mutex());
    op.run(input.data(), output, workspace.data(), pool);
    return out;
}

/// As the functions of register_benchmark.cpp: seconds of each of `repeats` runs after a first one.
py::tuple time_operator(const std::string& kernel, const py::object& x, const py::object& weight,
                        size_t stride, int repeats) {
    check_range("repeats", repeats, 1, 1'000'000);
    check_range("stride", static_cast<long long>(stride), 1, 16);
    ThreadPool pool(1);
    const bool dense = kernel == "gemm";
    const auto input = checked_array<float>(x, "x", std::vector<py::ssize_t>(dense ? 2 : 3, kAny));
    const auto w = dense ? checked_array<float>(weight, "weight", {kAny, input.shape(1)})
                         : checked_array<float>(weight, "weight", {kAny, kAny, kAny, kAny});
    const size_t groups = dense ? 1 : extent(input, 2) / extent(w, 1);
    if (!dense) {
        check_weight(w, extent(input, 2), groups);
    }
    std::vector<py::ssize_t> shape;
    const xnnpack::Operator op = [&] {
        if (dense) {
            const xnnpack::FullyConnected rows{extent(input, 0), extent(input, 1), extent(w, 0),
                                               extent(input, 1), extent(w, 0),     Activation::Relu};
            shape = {input.shape(0), w.shape(0)};
            return xnnpack::Operator(rows, w.data(), nullptr);
        }
        const auto strided = [&](int axis) {
            return (input.shape(axis) - 1) / static_cast<py::ssize_t>(stride) + 1;
        };
        shape = {strided(0), strided(1), w.shape(0)};
        const xnnpack::Convolution map{extent(input, 0), extent(input, 1), extent(input, 2), extent(w, 0),
                                       extent(w, 2),     stride,           groups,           extent(input, 2),
                                       extent(w, 0),     Activation::Relu};
        return xnnpack::Operator(map, w.data(), nullptr);
    }();
    FloatArray out(shape);
    const std::vector<float> source = padded(input);
    AlignedBuffer workspace(op.workspace_size() / sizeof(float) + 1);
    std::vector<double> seconds;
    for (int i = 0; i <= repeats; ++i) {
        const auto start = std::chrono::steady_clock::now();
        op.run(source.data(), out.mutable_data(), workspace.data(), pool);
        const std::chrono::duration<double> taken = std::chrono::steady_clock::now() - start;
        if (i > 0) {
            seconds.push_back(taken.count());
        }
    }
    return py::make_tuple(seconds, out);
}

FloatArray convolution(const py::object& x, const py::object& weight, const py::object& bias, size_t stride,
                       size_t groups, const py::object& activation, size_t threads) {
    check_range("stride", static_cast<long long>(stride), 1, 2);
    check_range("groups", static_cast<long long>(groups), 1, 1 << 20);
    check_range("threads", static_cast<long long>(threads), 1, 64);
    const auto map = checked_array<float>(x, "x", {kAny, kAny, kAny});
    const auto w = checked_array<float>(weight, "weight", {kAny, kAny, kAny, kAny});
    check_weight(w, extent(map, 2), groups);
    const auto b = checked_array<float>(bias, "bias", {w.shape(0)});
    xnnpack::Convolution shape;
    shape.height = extent(map, 0);
    shape.width = extent(map, 1);
    shape.in_channels = shape.in_ld = extent(map, 2);
    shape.out_channels = shape.out_ld = extent(w, 0);
    shape.kernel = extent(w, 2);
    shape.stride = stride;
    shape.groups = groups;
    shape.activation = activation_argument(activation);
    ThreadPool pool(threads);
    const xnnpack::Operator op(shape, w.data(), b.data());
    const auto strided = [&](py::ssize_t size) { return (size - 1) / static_cast<py::ssize_t>(stride) + 1; };
    return run(op, map, {strided(map.shape(0)), strided(map.shape(1)), w.shape(0)}, pool);
}

FloatArray linear(const py::object& x, const py::object& weight, const py::object& bias,
                  const py::object& activation, size_t threads) {
    check_range("threads", static_cast<long long>(threads), 1, 64);
    const auto rows = checked_array<float>(x, "x", {kAny, kAny});
    const auto w = checked_array<float>(weight, "weight", {kAny, rows.shape(1)});
    const auto b = checked_array<float>(bias, "bias", {w.shape(0)});
    xnnpack::FullyConnected shape;
    shape.rows = extent(rows, 0);
    shape.in_features = shape.in_ld = extent(rows, 1);
    shape.out_features = shape.out_ld = extent(w, 0);
    shape.activation = activation_argument(activation);
    ThreadPool pool(threads);
    const xnnpack::Operator op(shape, w.data(), b.data());
    return run(op, rows, {rows.shape(0), w.shape(0)}, pool);
}

}  // namespace

void register_xnnpack(py::module_& module) {
    module.def("has_xnnpack", &xnnpack::available,
               "Whether this build has XNNPACK's operators and they run on this machine.");
    module.attr("benchmark").attr("xnnpack") =
        py::cpp_function(&time_operator, py::arg("kernel"), py::arg("x"), py::arg("weight"),
                         py::arg("stride") = 1, py::arg("repeats") = 1);
    auto operators = module.def_submodule("xnnpack", "XNNPACK's operators on NumPy arrays, for tests.");
    operators.def(
        "convolution", &convolution, py::arg("x"), py::arg("weight"), py::arg("bias"), py::kw_only(),
        py::arg("stride") = 1, py::arg("groups") = 1, py::arg("activation") = py::none(),
        py::arg("threads") = 1,
        "Map float32 (H, W, C) to (ceil(H / stride), ceil(W / stride), O); weight (O, C / groups, k, k), "
        "padding k // 2.");
    operators.def("linear", &linear, py::arg("x"), py::arg("weight"), py::arg("bias"), py::kw_only(),
                  py::arg("activation") = py::none(), py::arg("threads") = 1,
                  "Rows float32 (N, I) times weight (O, I), plus bias (O,).");
}

}  // namespace mobileinst
