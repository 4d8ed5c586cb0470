// Timing of single kernels without Python in the loop: pack once, run many times.

#include <algorithm>
#include <chrono>
#include <limits>

#include "bindings/bindings.h"
#include "core/aligned_buffer.h"
#include "kernels/conv3x3/conv3x3.h"
#include "kernels/conv_direct/conv_direct.h"
#include "kernels/depthwise/depthwise.h"
#include "kernels/gemm/gemm.h"
#include "kernels/peak/peak.h"

namespace mobileinst {
namespace {

using Clock = std::chrono::steady_clock;

double seconds_since(Clock::time_point start) {
    return std::chrono::duration<double>(Clock::now() - start).count();
}

double peak_gflops(const py::object& tier, int milliseconds) {
    check_range("milliseconds", milliseconds, 1, 10'000);
    const PeakKernels& kernels = peak_kernels(tier_argument(tier));
    const py::gil_scoped_release release;
    constexpr size_t kSteps = 50'000;
    const float seeds[2] = {0.999f, 0.5f};
    float sum = 0.0f;
    double best = std::numeric_limits<double>::infinity();
    const Clock::time_point begin = Clock::now();
    do {
        const Clock::time_point start = Clock::now();
        kernels.run(kSteps, seeds, &sum);
        best = std::min(best, seconds_since(start));
    } while (seconds_since(begin) * 1000.0 < milliseconds);
    return static_cast<double>(kSteps * kernels.operations) / best * 1e-9;
}

template <typename Run>
std::vector<double> time_runs(int repeats, const Run& run) {
    check_range("repeats", repeats, 1, 1'000'000);
    const py::gil_scoped_release release;
    run();
    std::vector<double> seconds;
    for (int i = 0; i < repeats; ++i) {
        const Clock::time_point start = Clock::now();
        run();
        seconds.push_back(seconds_since(start));
    }
    return seconds;
}

size_t extent(const FloatArray& array, int axis) { return static_cast<size_t>(array.shape(axis)); }

FloatArray image(size_t height, size_t width, size_t channels) {
    return FloatArray({static_cast<py::ssize_t>(height), static_cast<py::ssize_t>(width),
                       static_cast<py::ssize_t>(channels)});
}

Epilogue relu() {
    Epilogue epilogue;
    epilogue.activation = Activation::Relu;
    return epilogue;
}

py::tuple time_gemm(const py::object& a_object, const py::object& weight_object, int repeats,
                    const py::object& tier) {
    const FloatArray a = checked_array<float>(a_object, "a", {kAny, kAny});
    const FloatArray weight = checked_array<float>(weight_object, "weight", {kAny, a.shape(1)});
    const GemmKernels& kernels = gemm_kernels(tier_argument(tier));
    FloatArray out({a.shape(0), weight.shape(0)});
    GemmArgs args;
    args.m = extent(a, 0);
    args.n = extent(weight, 0);
    args.k = extent(a, 1);
    AlignedBuffer packed(kernels.packed_size(args.n, args.k));
    kernels.pack(weight.data(), args.k, args.n, args.k, packed.data());
    args.a = a.data();
    args.lda = args.k;
    args.packed = packed.data();
    args.c = out.mutable_data();
    args.ldc = args.n;
    args.epilogue = relu();
    const auto seconds = time_runs(repeats, [&] { kernels.run(args, 0, args.m); });
    return py::make_tuple(seconds, out);
}

py::tuple time_conv3x3(const py::object& input_object, const py::object& weight_object, int repeats,
                       const py::object& tier) {
    const FloatArray input = checked_array<float>(input_object, "input", {kAny, kAny, kAny});
    const FloatArray weight = checked_array<float>(weight_object, "weight", {kAny, input.shape(2), 3, 3});
    Conv3x3Args args;
    args.height = extent(input, 0);
    args.width = extent(input, 1);
    args.in_channels = extent(input, 2);
    args.out_channels = extent(weight, 0);
    const Conv3x3Kernels& kernels =
        conv3x3_kernels(tier_argument(tier), choose_winograd(args.height, args.width));
    FloatArray out = image(args.height, args.width, args.out_channels);
    AlignedBuffer packed(kernels.packed_size(args.in_channels, args.out_channels));
    AlignedBuffer scratch(kernels.scratch_size(args.in_channels, args.out_channels));
    kernels.pack(weight.data(), args.in_channels, args.out_channels, packed.data());
    args.input = input.data();
    args.input_ld = args.in_channels;
    args.packed = packed.data();
    args.output = out.mutable_data();
    args.output_ld = args.out_channels;
    args.epilogue = relu();
    const size_t units = kernels.units(args);
    const auto seconds = time_runs(repeats, [&] { kernels.run(args, 0, units, scratch.data()); });
    return py::make_tuple(seconds, out);
}

py::tuple time_conv_direct(const py::object& input_object, const py::object& weight_object, int stride,
                           int repeats, const py::object& tier) {
    check_range("stride", stride, 1, 16);
    const FloatArray input = checked_array<float>(input_object, "input", {kAny, kAny, kAny});
    const FloatArray weight = checked_array<float>(weight_object, "weight", {kAny, kAny, kAny, kAny});
    const ConvDirectKernels& kernels = conv_direct_kernels(tier_argument(tier));
    ConvDirectArgs args;
    args.height = extent(input, 0);
    args.width = extent(input, 1);
    args.in_channels = extent(input, 2);
    args.out_channels = extent(weight, 0);
    args.kernel = extent(weight, 2);
    args.stride = static_cast<size_t>(stride);
    args.groups = args.in_channels / extent(weight, 1);
    if (args.groups * extent(weight, 1) != args.in_channels || args.out_channels % args.groups != 0 ||
        args.kernel % 2 == 0 || extent(weight, 3) != args.kernel) {
        throw std::invalid_argument("weight: expected (O, I / groups, k, k) with odd k for an input of " +
                                    std::to_string(args.in_channels) + " channels");
    }
    FloatArray out = image(args.out_height(), args.out_width(), args.out_channels);
    AlignedBuffer packed(kernels.packed_size(args.in_channels, args.out_channels, args.kernel, args.groups));
    kernels.pack(weight.data(), args.in_channels, args.out_channels, args.kernel, args.groups, packed.data());
    args.input = input.data();
    args.input_ld = args.in_channels;
    args.packed = packed.data();
    args.output = out.mutable_data();
    args.output_ld = args.out_channels;
    args.epilogue = relu();
    const auto seconds = time_runs(repeats, [&] { kernels.run(args, 0, args.out_height()); });
    return py::make_tuple(seconds, out);
}

py::tuple time_depthwise(const py::object& input_object, const py::object& weight_object, int stride,
                         int repeats, const py::object& tier) {
    check_range("stride", stride, 1, 16);
    const FloatArray input = checked_array<float>(input_object, "input", {kAny, kAny, kAny});
    const FloatArray weight = checked_array<float>(weight_object, "weight", {input.shape(2), 1, kAny, kAny});
    const DepthwiseKernels& kernels = depthwise_kernels(tier_argument(tier));
    DepthwiseArgs args;
    args.height = extent(input, 0);
    args.width = extent(input, 1);
    args.channels = extent(input, 2);
    args.kernel = extent(weight, 2);
    args.stride = static_cast<size_t>(stride);
    if (args.kernel % 2 == 0 || extent(weight, 3) != args.kernel) {
        throw std::invalid_argument("weight: expected (C, 1, k, k) with odd k");
    }
    FloatArray out = image(args.out_height(), args.out_width(), args.channels);
    AlignedBuffer packed(kernels.packed_size(args.channels, args.kernel));
    kernels.pack(weight.data(), args.channels, args.kernel, packed.data());
    args.input = input.data();
    args.input_ld = args.channels;
    args.packed = packed.data();
    args.output = out.mutable_data();
    args.output_ld = args.channels;
    args.epilogue = relu();
    const auto seconds = time_runs(repeats, [&] { kernels.run(args, 0, args.out_height()); });
    return py::make_tuple(seconds, out);
}

}  // namespace

void register_benchmark(py::module_& module) {
    py::module_ benchmark = module.def_submodule(
        "benchmark",
        "Timing of single kernels on one thread: each function packs the weights once, runs once to warm\n"
        "up, then `repeats` times, and gives (seconds of each run, output). All apply a ReLU.");
    const auto any_tier = py::arg("tier") = py::none();
    benchmark.def("peak_gflops", &peak_gflops, any_tier, py::arg("milliseconds") = 50,
                  "Most GFLOP/s that one core reaches with a tier's multiply-adds on registers.");
    benchmark.def("gemm", &time_gemm, py::arg("a"), py::arg("weight"), py::arg("repeats") = 1, any_tier,
                  "a (m, k) times weight (n, k) transposed.");
    benchmark.def("conv3x3", &time_conv3x3, py::arg("input"), py::arg("weight"), py::arg("repeats") = 1,
                  any_tier, "Input (H, W, I), weight (O, I, 3, 3), stride 1.");
    benchmark.def("conv_direct", &time_conv_direct, py::arg("input"), py::arg("weight"),
                  py::arg("stride") = 1, py::arg("repeats") = 1, any_tier,
                  "Input (H, W, I), weight (O, I / groups, k, k).");
    benchmark.def("depthwise", &time_depthwise, py::arg("input"), py::arg("weight"), py::arg("stride") = 1,
                  py::arg("repeats") = 1, any_tier, "Input (H, W, C), weight (C, 1, k, k).");
}

}  // namespace mobileinst
