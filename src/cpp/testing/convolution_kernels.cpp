#include <algorithm>
#include <cstdint>
#include <functional>

#include "core/aligned_buffer.h"
#include "kernels/conv3x3/conv3x3.h"
#include "kernels/convolution/convolution.h"
#include "kernels/inverted_residual/inverted_residual.h"
#include "kernels/kernel_table.h"
#include "testing/elements.h"
#include "testing/testing.h"

namespace mobileinst {
namespace {

/// Rows of floats that may be further apart than they are long: what a (rows, columns) or (H, W, C) array
/// holds.
struct View {
    py::array_t<float> array;
    size_t ld;

    const float* data() const { return array.data(); }
    size_t size(int axis) const { return static_cast<size_t>(array.shape(axis)); }

    /// Rows (1, rows, columns) or a map.
    Tensor tensor() const {
        const int last = static_cast<int>(array.ndim()) - 1;
        return float_tensor(array.data(), last < 2 ? 1 : size(0), size(last - 1), size(last), ld);
    }
};

/// How many floats lie between the starts of neighbouring rows; nothing unless the array is aligned, its last
/// axis contiguous, and its rows evenly spaced in their order, each behind the one before it.
std::optional<size_t> row_spacing(const py::array_t<float>& array) {
    constexpr auto kBytes = static_cast<py::ssize_t>(sizeof(float));
    const py::ssize_t last = array.ndim() - 1, columns = array.shape(last);
    if (reinterpret_cast<uintptr_t>(array.data()) % alignof(float) != 0 ||
        (columns > 1 && array.strides(last) != kBytes)) {
        return std::nullopt;
    }
    // An axis of length 1 has no spacing of its own; NumPy may report any stride for it.
    std::optional<py::ssize_t> bytes;
    for (py::ssize_t axis = last - 1, rows = 1; axis >= 0; rows *= array.shape(axis--)) {
        if (array.shape(axis) == 1) {
            continue;
        }
        bytes = bytes.value_or(array.strides(axis) / rows);
        if (array.strides(axis) != *bytes * rows) {
            return std::nullopt;
        }
    }
    const py::ssize_t spacing = bytes.value_or(columns * kBytes);
    if (spacing < columns * kBytes || spacing % kBytes != 0) {
        return std::nullopt;
    }
    return static_cast<size_t>(spacing / kBytes);
}

/// The array as it lies in memory where its rows are evenly spaced, else a copy. Throws unless it is float32
/// and of that shape.
View view_argument(const py::object& object, const char* name, const std::vector<py::ssize_t>& shape) {
    const FloatArray contiguous = checked_array<float>(object, name, shape);
    const auto array = py::reinterpret_borrow<py::array_t<float>>(object);
    if (const auto spacing = row_spacing(array)) {
        return {array, *spacing};
    }
    return {contiguous, static_cast<size_t>(shape.empty() ? 1 : contiguous.shape(contiguous.ndim() - 1))};
}

/// The output array, given or made, of that shape. Throws if rows of the given one are not evenly spaced, or
/// can't be written.
View output_argument(const py::object& out, const std::vector<py::ssize_t>& shape) {
    if (out.is_none()) {
        return {py::array_t<float>(shape), static_cast<size_t>(shape.back())};
    }
    checked_array<float>(out, "out", shape);
    const auto array = py::reinterpret_borrow<py::array_t<float>>(out);
    const auto spacing = row_spacing(array);
    if (!spacing || !array.writeable()) {
        throw std::invalid_argument("out: expected a writeable array of aligned, evenly spaced rows");
    }
    return {array, *spacing};
}

/// Whether two arrays lie in the same memory, in part or whole.
bool overlap(const View& a, const View& b) {
    const auto end = [](const View& view) {
        const auto columns = static_cast<size_t>(view.array.shape(view.array.ndim() - 1));
        const size_t rows = static_cast<size_t>(view.array.size()) / columns;
        return view.data() + (rows - 1) * view.ld + columns;
    };
    const std::less<> before;
    return before(a.data(), end(b)) && before(b.data(), end(a));
}

/// Throws if the output lies in the memory of an input: kernels write it before they have read the input.
void refuse_overlap(const View& out, const View& input, const char* name) {
    if (overlap(out, input)) {
        throw std::invalid_argument(std::string("out: expected memory of its own, it overlaps ") + name);
    }
}

/// What all operations take by keyword beside their input and weights.
struct Options {
    py::object bias, activation, residual, out, tier;
    DType dtype;
    Execution& execution;

    /// Throws py::type_error for a keyword that is none of these.
    Options(const py::kwargs& given, Execution& how) : execution(how) {
        const auto take = [&](const char* name) { return given.attr("pop")(name, py::none()); };
        bias = take("bias");
        activation = take("activation");
        residual = take("residual");
        out = take("out");
        tier = take("tier");
        dtype = element_type_argument(take("dtype"));
        for (const auto& [name, value] : given) {
            throw py::type_error("unknown argument " + name.cast<std::string>());
        }
    }
};

/// A bias in the type of the elements.
Operand bias_of(const FloatArray& bias, DType dtype) {
    return {float_matrix(bias.data(), 1, static_cast<size_t>(bias.size())), dtype};
}

/// An epilogue and the arrays that it points into.
struct EpilogueArrays {
    FloatArray bias;
    View residual;
    Operand bias_operand, residual_operand;
    Epilogue epilogue;

    EpilogueArrays(const Options& options, const std::vector<py::ssize_t>& shape, const View& out) {
        epilogue.activation = activation_argument(options.activation);
        if (!options.bias.is_none()) {
            bias = checked_array<float>(options.bias, "bias", {shape.back()});
            refuse_overlap(out, {bias, static_cast<size_t>(bias.size())}, "bias");
            bias_operand = bias_of(bias, options.dtype);
            epilogue.bias = bias_operand.data();
        }
        if (!options.residual.is_none()) {
            residual = view_argument(options.residual, "residual", shape);
            // Each element is read just before it is written, so the very same array will do.
            if (residual.data() != out.data() || residual.ld != out.ld) {
                refuse_overlap(out, residual, "residual");
            }
            residual_operand = Operand(residual.tensor(), options.dtype);
            epilogue.residual = residual_operand.tensor();
        }
    }
};

py::ssize_t signed_size(size_t value) { return static_cast<py::ssize_t>(value); }

/// Weights (out, in / groups, kernel, kernel) as the kernels of a tier have them.
AlignedBuffer packed_weights(const ConvKernels& kernels, const ConvSpec& spec, const FloatArray& weight) {
    AlignedBuffer packed(kernels.packed_size(spec));
    kernels.pack(spec, weight.data(), packed.data());
    return packed;
}

/// A convolution of a map into one of `shape`, by the kernels given.
py::array convolve(const Options& options, const ConvKernels& kernels, const ConvSpec& spec, const View& map,
                   const FloatArray& weight, const std::vector<py::ssize_t>& shape, const char* name = "x") {
    View out = output_argument(options.out, shape);
    refuse_overlap(out, map, name);
    const EpilogueArrays extras(options, shape, out);
    const AlignedBuffer packed = packed_weights(kernels, spec, weight);
    const Operand input(map.tensor(), options.dtype);
    Result output(out.tensor(), options.dtype);
    const ConvArgs args{input.tensor(),
                        output.tensor(),
                        packed.data(),
                        spec.kernel,
                        spec.stride,
                        spec.groups,
                        {},
                        extras.epilogue,
                        {}};
    AlignedBuffer scratch(kernels.scratch_size(args));
    options.execution(kernels.units(args),
                      [&](size_t begin, size_t end) { kernels.run(args, begin, end, scratch.data()); });
    output.finish();
    return out.array;
}

py::array gemm(const Options& options, const py::object& a, const py::object& weight) {
    const View rows = view_argument(a, "a", {kAny, kAny});
    const auto w = checked_array<float>(weight, "weight", {kAny, rows.array.shape(1)});
    const ConvSpec spec{rows.size(1), static_cast<size_t>(w.shape(0)), 1, 1, 1};
    return convolve(options, kernels_of(tier_argument(options.tier), &KernelTable::gemm, options.dtype), spec,
                    rows, w, {rows.array.shape(0), w.shape(0)}, "a");
}

py::array conv3x3(const Options& options, const py::object& x, const py::object& weight,
                  std::optional<size_t> winograd_tile) {
    const View map = view_argument(x, "x", {kAny, kAny, kAny});
    const Winograd winograd =
        winograd_tile ? winograd_argument(*winograd_tile) : choose_winograd(map.size(0), map.size(1));
    const auto w = checked_array<float>(weight, "weight", {kAny, map.array.shape(2), 3, 3});
    const ConvSpec spec{map.size(2), static_cast<size_t>(w.shape(0)), 3, 1, 1};
    return convolve(options, conv3x3_kernels(tier_argument(options.tier), winograd, options.dtype), spec, map,
                    w, {map.array.shape(0), map.array.shape(1), w.shape(0)});
}

/// Checks that kernels are square and odd and the stride is positive; returns the kernel's size.
size_t kernel_argument(const FloatArray& weight, py::ssize_t stride) {
    check_range("stride", stride, 1, 1 << 20);
    if (weight.shape(2) != weight.shape(3) || weight.shape(2) % 2 == 0) {
        throw std::invalid_argument("weight: expected square kernels of odd size, got " +
                                    shape_text({weight.shape(2), weight.shape(3)}));
    }
    return static_cast<size_t>(weight.shape(2));
}

std::vector<py::ssize_t> strided_shape(const View& map, const ConvSpec& spec) {
    return {signed_size(spec.strided(map.size(0))), signed_size(spec.strided(map.size(1))),
            signed_size(spec.out_channels)};
}

py::array depthwise(const Options& options, const py::object& x, const py::object& weight,
                    py::ssize_t stride) {
    const View map = view_argument(x, "x", {kAny, kAny, kAny});
    const auto w = checked_array<float>(weight, "weight", {map.array.shape(2), 1, kAny, kAny});
    const size_t channels = map.size(2);
    const ConvSpec spec{channels, channels, kernel_argument(w, stride), static_cast<size_t>(stride),
                        channels};
    return convolve(options, kernels_of(tier_argument(options.tier), &KernelTable::depthwise, options.dtype),
                    spec, map, w, strided_shape(map, spec));
}

py::array conv_direct(const Options& options, const py::object& x, const py::object& weight,
                      py::ssize_t stride, py::ssize_t groups) {
    const View map = view_argument(x, "x", {kAny, kAny, kAny});
    check_range("groups", groups, 1, map.array.shape(2));
    if (map.array.shape(2) % groups != 0) {
        throw std::invalid_argument("groups: expected a divisor of " + std::to_string(map.array.shape(2)) +
                                    " channels, got " + std::to_string(groups));
    }
    const auto w = checked_array<float>(weight, "weight", {kAny, map.array.shape(2) / groups, kAny, kAny});
    if (w.shape(0) % groups != 0) {
        throw std::invalid_argument("weight: expected a multiple of " + std::to_string(groups) +
                                    " output channels, got " + std::to_string(w.shape(0)));
    }
    const ConvSpec spec{map.size(2), static_cast<size_t>(w.shape(0)), kernel_argument(w, stride),
                        static_cast<size_t>(stride), static_cast<size_t>(groups)};
    return convolve(options,
                    kernels_of(tier_argument(options.tier), &KernelTable::conv_direct, options.dtype), spec,
                    map, w, strided_shape(map, spec));
}

py::array inverted_residual(const Options& options, const py::object& x, const py::object& expand,
                            const py::object& filters_object, const py::object& project_object,
                            py::ssize_t stride, const py::object& expand_bias_object,
                            const py::object& depthwise_bias_object, const py::object& block_activation) {
    const Tier tier = tier_argument(options.tier);
    const InvertedResidualKernels& kernels = kernels_of(tier, &KernelTable::inverted_residual, options.dtype);
    const ConvKernels& gemm = kernels_of(tier, &KernelTable::gemm, options.dtype);
    const View map = view_argument(x, "x", {kAny, kAny, kAny});
    const auto filters = checked_array<float>(filters_object, "depthwise", {kAny, 1, kAny, kAny});
    const py::ssize_t hidden = filters.shape(0);
    const auto project = checked_array<float>(project_object, "project", {kAny, hidden});
    InvertedResidualArgs args;
    args.kernel = kernel_argument(filters, stride);
    check_range("kernel", static_cast<long long>(args.kernel), 3, 5);
    check_range("stride", stride, 1, 2);
    args.stride = static_cast<size_t>(stride);
    const Operand input(map.tensor(), options.dtype);
    args.input = input.tensor();
    args.hidden = static_cast<size_t>(hidden);
    args.activation = activation_argument(block_activation);
    const ConvSpec filter{args.hidden, args.hidden, args.kernel, args.stride, args.hidden},
        last{args.hidden, static_cast<size_t>(project.shape(0)), 1, 1, 1};
    AlignedBuffer packed_expand;
    FloatArray expand_bias, depthwise_bias;
    Operand expand_operand, depthwise_operand;
    if (!expand.is_none()) {
        packed_expand = packed_weights(gemm, {map.size(2), args.hidden, 1, 1, 1},
                                       checked_array<float>(expand, "expand", {hidden, map.array.shape(2)}));
        args.expand = packed_expand.data();
    } else if (hidden != map.array.shape(2)) {
        throw std::invalid_argument(
            "expand: expected weights, as x has another number of channels than depthwise");
    }
    if (!expand_bias_object.is_none()) {
        expand_bias = checked_array<float>(expand_bias_object, "expand_bias", {hidden});
        expand_operand = bias_of(expand_bias, options.dtype);
        args.expand_bias = expand_operand.data();
    }
    if (!depthwise_bias_object.is_none()) {
        depthwise_bias = checked_array<float>(depthwise_bias_object, "depthwise_bias", {hidden});
        depthwise_operand = bias_of(depthwise_bias, options.dtype);
        args.depthwise_bias = depthwise_operand.data();
    }
    const std::vector<py::ssize_t> shape = {signed_size(filter.strided(map.size(0))),
                                            signed_size(filter.strided(map.size(1))), project.shape(0)};
    View out = output_argument(options.out, shape);
    refuse_overlap(out, map, "x");
    const EpilogueArrays extras(options, shape, out);
    const AlignedBuffer packed_filters = packed_weights(
                            kernels_of(tier, &KernelTable::depthwise, options.dtype), filter, filters),
                        packed_project = packed_weights(gemm, last, project);
    args.depthwise = packed_filters.data();
    args.project = packed_project.data();
    Result output(out.tensor(), options.dtype);
    args.output = output.tensor();
    args.epilogue = extras.epilogue;
    AlignedBuffer scratch(kernels.scratch_size(args));
    options.execution(args.output.height,
                      [&](size_t begin, size_t end) { kernels.run(args, begin, end, scratch.data()); });
    output.finish();
    return out.array;
}

constexpr const char* kCommonDoc =
    "\n\nResult = activation(sum + bias) + residual, float32. By keyword: `bias`; `activation`, None, "
    "'relu', "
    "'relu6' or 'hard_sigmoid'; `residual`; `out`; `tier`, the name of a supported one, None for the active "
    "one; `dtype`, 'float32' or 'float16', what arrays are converted to and computed in; `parts`, in how "
    "many "
    "ranges the work is done. Input, `residual` and `out` may have rows (pixels) "
    "further apart than they are long. Raises ValueError or TypeError naming the argument that does not fit.";

constexpr const char* kTimingDoc =
    "\n\nAs the kernel of that name, but gives (seconds of each of `repeats` runs on one thread after a "
    "first "
    "one, result).";

/// Defines an operation, run(options, arguments...), twice: to be tested and to be timed.
template <typename... Arguments, typename... Extra>
void define(py::module_& kernels, py::module_& timing, const char* name, const std::string& doc,
            py::array (*run)(const Options&, Arguments...), const Extra&... extra) {
    kernels.def(
        name,
        [run](Arguments... arguments, const py::kwargs& options) {
            Execution execution;
            execution.ranges = options.attr("pop")("parts", 1).cast<size_t>();
            check_range("parts", static_cast<long long>(execution.ranges), 1, 1 << 20);
            return run(Options(options, execution), arguments...);
        },
        extra..., (doc + kCommonDoc).c_str());
    timing.def(
        name,
        [run](Arguments... arguments, const py::kwargs& options) {
            Execution execution;
            execution.timed = options.attr("pop")("repeats", 1).cast<size_t>();
            check_range("repeats", static_cast<long long>(execution.timed), 1, 1'000'000);
            const py::array out = run(Options(options, execution), arguments...);
            return py::make_tuple(execution.seconds, out);
        },
        extra..., (doc + kTimingDoc).c_str());
}

}  // namespace

void register_convolution_kernels(py::module_& kernels, py::module_& timing) {
    using py::arg;
    define(kernels, timing, "gemm", "Matrix product of a (m, k) with the transpose of weight (n, k): (m, n).",
           &gemm, arg("a"), arg("weight"));
    define(kernels, timing, "conv3x3",
           "3x3 convolution, stride 1, padding 1, of x (H, W, C) with weight (O, C, 3, 3): (H, W, O). "
           "`winograd_tile`: 4, 6 or 8 for F(4x4, 3x3), F(6x6, 3x3) or F(8x8, 3x3), None for what suits the "
           "map.",
           &conv3x3, arg("x"), arg("weight"), arg("winograd_tile") = py::none());
    define(kernels, timing, "depthwise",
           "Depthwise convolution, padding k // 2, of x (H, W, C) with weight (C, 1, k, k): (H', W', C), "
           "H' = (H - 1) // stride + 1.",
           &depthwise, arg("x"), arg("weight"), arg("stride") = 1);
    define(kernels, timing, "conv_direct",
           "Convolution, padding k // 2, of x (H, W, C) with weight (O, C / groups, k, k): (H', W', O), "
           "H' = (H - 1) // stride + 1.",
           &conv_direct, arg("x"), arg("weight"), arg("stride") = 1, arg("groups") = 1);
    define(
        kernels, timing, "inverted_residual",
        "Inverted residual of x (H, W, C): expansion (hidden, C) or None, depthwise (hidden, 1, k, k) with k "
        "3 "
        "or 5 and stride 1 or 2, projection (O, hidden): (H', W', O). `block_activation` follows the first "
        "two; the other arguments are of the projection.",
        &inverted_residual, arg("x"), arg("expand"), arg("depthwise"), arg("project"), arg("stride") = 1,
        arg("expand_bias") = py::none(), arg("depthwise_bias") = py::none(),
        arg("block_activation") = py::none());
}

}  // namespace mobileinst
