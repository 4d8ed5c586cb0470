#include "plan/plan_builder.h"

#include <algorithm>
#include <memory>
#include <optional>
#include <stdexcept>

#include "bindings/bindings.h"
#include "kernels/kernel_table.h"
#include "plan/conv_weights.h"

namespace mobileinst {
namespace {

using Weights = std::shared_ptr<ConvWeights>;
using QuantisationArgument = std::optional<std::pair<float, int32_t>>;

Quantisation as_given(const QuantisationArgument& given) {
    return given ? Quantisation{given->first, given->second} : Quantisation{};
}

Weights pack_conv(const py::object& weight_object, const py::object& bias_object, long long stride,
                  long long groups, const py::object& tier, size_t winograd_tile, const std::string& dtype) {
    const FloatArray weight = checked_array<float>(weight_object, "weight", {kAny, kAny, kAny, kAny});
    const auto bias = optional_array(bias_object, "bias", {weight.shape(0)});
    check_range("stride", stride, 1, 1 << 20);
    check_range("groups", groups, 1, weight.shape(0));
    const ConvSpec spec = ConvSpec::of({weight.shape(), weight.shape() + weight.ndim()},
                                       static_cast<size_t>(stride), static_cast<size_t>(groups));
    return std::make_shared<ConvWeights>(spec, weight.data(), bias ? bias->data() : nullptr,
                                         tier_argument(tier), winograd_argument(winograd_tile),
                                         dtype_from_name(dtype));
}

Attribute attribute_of(const std::string& name, const py::handle& value) {
    if (py::isinstance<ConvWeights>(value)) {
        return Attribute(value.cast<Weights>());
    }
    if (py::isinstance<py::array>(value)) {
        const auto object = py::reinterpret_borrow<py::array>(value);
        const FloatArray array = checked_array<float>(
            object, name.c_str(), std::vector<py::ssize_t>(static_cast<size_t>(object.ndim()), kAny));
        FloatArrayAttribute copy{{array.shape(), array.shape() + array.ndim()},
                                 AlignedBuffer::of_floats(static_cast<size_t>(array.size()))};
        std::copy_n(array.data(), array.size(), copy.values.floats());
        return copy;
    }
    if (py::isinstance<py::int_>(value)) {
        return value.cast<int64_t>();
    }
    if (py::isinstance<py::float_>(value)) {
        return value.cast<double>();
    }
    if (py::isinstance<py::tuple>(value)) {
        return value.cast<std::vector<int64_t>>();
    }
    throw py::type_error(name + ": expected a number, a tuple of them, a float32 array or ConvWeights, got " +
                         py::type::of(value).attr("__name__").cast<std::string>());
}

void add_node(PlanBuilder& builder, const std::string& op, const std::string& name,
              const std::vector<TensorId>& inputs, TensorId output, const py::object& activation,
              const py::kwargs& attributes) {
    NodeSpec spec{op, name, inputs, output, activation_argument(activation), {}};
    for (const auto& [key, value] : attributes) {
        if (!value.is_none()) {
            spec.attributes.emplace(key.cast<std::string>(), attribute_of(key.cast<std::string>(), value));
        }
    }
    builder.add(std::move(spec));
}

/// Packed weights, and what is known of convolutions and kernels before there are any.
void register_conv_weights(py::module_& module) {
    using py::arg;
    py::class_<ConvWeights, Weights>(module, "ConvWeights",
                                     "Packed weights of a convolution or linear layer.")
        .def(py::init(&pack_conv), arg("weight"), arg("bias") = py::none(), arg("stride") = 1,
             arg("groups") = 1, arg("tier") = py::none(), arg("winograd_tile") = 6, arg("dtype") = "float32")
        .def_property_readonly("kind",
                               [](const ConvWeights& self) { return std::string(kind_name(self.kind())); })
        .def_property_readonly("dtype",
                               [](const ConvWeights& self) { return std::string(dtype_name(self.dtype())); })
        .def_property_readonly("bytes", &ConvWeights::bytes);
    module.def(
        "conv_kind",
        [](size_t in_channels, size_t out_channels, size_t kernel, size_t stride, size_t groups) {
            return std::string(kind_name(ConvSpec{in_channels, out_channels, kernel, stride, groups}.kind()));
        },
        arg("in_channels"), arg("out_channels"), arg("kernel"), arg("stride"), arg("groups"),
        "Which kernel computes a convolution: 'gemm', 'conv3x3', 'depthwise' or 'conv_direct'.");
    module.def(
        "has_kernels",
        [](const std::string& operation, const std::string& dtype, const py::object& tier) {
            return has_kernels(tier_argument(tier), dtype_from_name(dtype), operation);
        },
        arg("operation"), arg("dtype"), arg("tier") = py::none(),
        "Whether a tier computes an operation, by its folder of src/cpp/kernels, in a type.");
    module.def(
        "winograd_tile",
        [](size_t height, size_t width, const std::string& dtype) {
            return static_cast<size_t>(choose_winograd(height, width, dtype_from_name(dtype)));
        },
        arg("height"), arg("width"), arg("dtype") = "float32",
        "Outputs on each side of the Winograd tiles that suit 3x3 convolutions of such maps.");
}

}  // namespace

void register_plan_builder(py::module_& module) {
    using py::arg;
    register_conv_weights(module);
    py::class_<PlanBuilder>(module, "PlanBuilder", "Collects tensors, by number, and nodes of a plan.")
        .def(py::init([](const py::object& tier) { return PlanBuilder(tier_argument(tier)); }),
             arg("tier") = py::none())
        .def(
            "tensor",
            [](PlanBuilder& self, size_t height, size_t width, size_t channels, const std::string& dtype,
               const QuantisationArgument& quantisation) {
                return self.tensor(height, width, channels, dtype_from_name(dtype), as_given(quantisation));
            },
            arg("height"), arg("width"), arg("channels"), arg("dtype") = "float32",
            arg("quantisation") = py::none(),
            "`quantisation`: what integers stand for, scale * (integer - zero), as (scale, zero).")
        .def(
            "constant",
            [](PlanBuilder& self, const py::object& values, const std::string& dtype,
               const QuantisationArgument& quantisation) {
                const FloatArray rows = checked_array<float>(values, "values", {kAny, kAny});
                return self.constant(static_cast<size_t>(rows.shape(0)), static_cast<size_t>(rows.shape(1)),
                                     rows.data(), dtype_from_name(dtype), as_given(quantisation));
            },
            arg("values"), arg("dtype") = "float32", arg("quantisation") = py::none(),
            "Tokens (N, C) that never change, converted to the type.")
        .def(
            "slice",
            [](PlanBuilder& self, TensorId tensor, size_t offset, size_t channels,
               const QuantisationArgument& quantisation) {
                return quantisation ? self.slice(tensor, offset, channels, as_given(quantisation))
                                    : self.slice(tensor, offset, channels);
            },
            arg("tensor"), arg("offset"), arg("channels"), arg("quantisation") = py::none(),
            "`quantisation`: that of these channels, where it is not the tensor's.")
        .def("reshape", &PlanBuilder::reshape, arg("tensor"), arg("height"), arg("width"))
        .def("keep", &PlanBuilder::keep, arg("tensor"), arg("from_start") = false,
             "Keeps the values until the plan runs again; `from_start`: the memory is never shared.")
        .def("add", &add_node, arg("op"), arg("name"), arg("inputs"), arg("output"),
             arg("activation") = py::none(),
             "Adds the node of an operation (src/cpp/plan/nodes), which runs after those before. Attributes\n"
             "by keyword: numbers, float32 arrays, ConvWeights, or None for those that are absent.")
        .def("next_section", &PlanBuilder::next_section, "Nodes from here on are run by themselves.");
}

}  // namespace mobileinst
