#include "plan/plan.h"

#include <algorithm>
#include <array>
#include <memory>
#include <optional>
#include <stdexcept>

#include "bindings/bindings.h"
#include "kernels/transpose/transpose.h"
#include "plan/frame_loader.h"
#include "plan/mask_head.h"

namespace mobileinst {
namespace {

using MaybeTensor = std::optional<TensorId>;

/// A plan with what brings frames in and masks out.
class BoundPlan {
  public:
    explicit BoundPlan(std::unique_ptr<Plan> plan)
        : plan_(std::move(plan)), frames_(plan_->tier()), masks_(plan_->tier()) {}

    void run(size_t section) {
        GilRelease release;
        const std::lock_guard<std::mutex> lock(plan_->mutex());
        plan_->run(section);
    }

    void load_frame(TensorId id, const py::object& frame, const std::vector<float>& mean,
                    const std::vector<float>& std, bool bgr) {
        const ByteArray pixels = checked_array<uint8_t>(frame, "frame", {kAny, kAny, 3});
        const Tensor& input = image_tensor(id);
        PreprocessArgs args;
        set_normalisation(&args, mean, std);
        args.frame = pixels.data();
        args.frame_height = static_cast<size_t>(pixels.shape(0));
        args.frame_width = static_cast<size_t>(pixels.shape(1));
        args.bgr = bgr;
        GilRelease release;
        const std::lock_guard<std::mutex> lock(plan_->mutex());
        frames_.load(plan_->pool(), args, input);
    }

    /// Copies planes (channels, height, width) into a tensor; they must be finite.
    void write(TensorId id, const py::object& planes, const std::string& name) {
        const Tensor& tensor = plan_->tensor(id);
        const FloatArray array = checked_array<float>(planes, name.c_str(), shape_of(tensor));
        const float* source = array.data();
        GilRelease release;
        const size_t pixels = tensor.pixels();
        check_finite(name.c_str(), source, pixels * tensor.channels);
        const std::lock_guard<std::mutex> lock(plan_->mutex());
        TransposeArgs args;
        args.input = source;
        args.input_ld = args.columns = pixels;
        args.output = tensor.data;
        args.output_ld = tensor.ld;
        args.rows = tensor.channels;
        transpose_kernels(plan_->tier()).run(args);
    }

    /// A tensor as planes (channels, height, width).
    FloatArray read(TensorId id) {
        const Tensor& tensor = plan_->tensor(id);
        FloatArray result(shape_of(tensor));
        float* planes = result.mutable_data();
        GilRelease release;
        const std::lock_guard<std::mutex> lock(plan_->mutex());
        TransposeArgs args;
        args.input = tensor.data;
        args.input_ld = tensor.ld;
        args.output = planes;
        args.output_ld = args.rows = tensor.pixels();
        args.columns = tensor.channels;
        transpose_kernels(plan_->tier()).run(args);
        return result;
    }

    /// A tensor as rows (pixels, channels).
    FloatArray read_tokens(TensorId id) {
        const Tensor& tensor = plan_->tensor(id);
        FloatArray result(
            {static_cast<py::ssize_t>(tensor.pixels()), static_cast<py::ssize_t>(tensor.channels)});
        const std::lock_guard<std::mutex> lock(plan_->mutex());
        for (size_t row = 0; row < tensor.pixels(); ++row) {
            std::copy_n(tensor.data + row * tensor.ld, tensor.channels,
                        result.mutable_data() + row * tensor.channels);
        }
        return result;
    }

    FloatArray mask_logits(TensorId id, const py::object& kernels, const py::object& projection) {
        const Tensor& map = plan_->tensor(id);
        auto channels = static_cast<py::ssize_t>(map.channels);
        const std::optional<FloatArray> matrix =
            optional_array(projection, "projection", {channels + 1, kAny});
        channels = matrix ? matrix->shape(1) : channels;
        const FloatArray array = checked_array<float>(kernels, "kernels", {kAny, channels}, 0);
        FloatArray result(
            {array.shape(0), static_cast<py::ssize_t>(map.height), static_cast<py::ssize_t>(map.width)});
        const MaskKernels live{array.data(), static_cast<size_t>(array.shape(0)),
                               static_cast<size_t>(channels), matrix ? matrix->data() : nullptr};
        float* output = result.mutable_data();
        GilRelease release;
        if (live.count > 0) {
            const std::lock_guard<std::mutex> lock(plan_->mutex());
            masks_.run(plan_->pool(), map, live, output);
        }
        return result;
    }

    py::list profile() const {
        py::list all;
        for (const NodeProfile& node : plan_->profile()) {
            py::dict entry;
            entry["name"] = node.name;
            entry["op"] = node.op;
            entry["shape"] = py::make_tuple(node.height, node.width, node.channels);
            entry["milliseconds"] = node.milliseconds;
            entry["macs"] = node.macs;
            entry["bytes"] = node.bytes;
            all.append(entry);
        }
        return all;
    }

    size_t arena_bytes() const { return plan_->arena_bytes(); }

  private:
    static std::vector<py::ssize_t> shape_of(const Tensor& tensor) {
        return {static_cast<py::ssize_t>(tensor.channels), static_cast<py::ssize_t>(tensor.height),
                static_cast<py::ssize_t>(tensor.width)};
    }

    const Tensor& image_tensor(TensorId id) const {
        const Tensor& tensor = plan_->tensor(id);
        if (tensor.channels != 3 || tensor.ld != 3) {
            throw std::invalid_argument("expected an input tensor of 3 channels, got one of " +
                                        std::to_string(tensor.channels));
        }
        return tensor;
    }

    std::unique_ptr<Plan> plan_;
    FrameLoader frames_;
    MaskHead masks_;
};

/// A convolution's arguments, checked.
struct ConvArrays {
    ConvArrays(const py::object& weight_object, const py::object& bias_object, size_t stride, size_t groups)
        : weight(checked_array<float>(weight_object, "weight", {kAny, kAny, kAny, kAny})),
          bias(optional_array(bias_object, "bias", {weight.shape(0)})) {
        check_range("stride", static_cast<long long>(stride), 1, 1 << 20);
        check_range("groups", static_cast<long long>(groups), 1, 1 << 24);
        if (weight.shape(2) != weight.shape(3)) {
            throw std::invalid_argument("weight: expected a square kernel, got " +
                                        shape_text({weight.shape(2), weight.shape(3)}));
        }
        spec.out_channels = static_cast<size_t>(weight.shape(0));
        spec.in_channels = static_cast<size_t>(weight.shape(1)) * groups;
        spec.kernel = static_cast<size_t>(weight.shape(2));
        spec.stride = stride;
        spec.groups = groups;
    }

    const float* bias_data() const { return bias ? bias->data() : nullptr; }

    FloatArray weight;
    std::optional<FloatArray> bias;
    ConvSpec spec;
};

std::shared_ptr<ConvWeights> pack_conv(const py::object& weight, const py::object& bias, size_t stride,
                                       size_t groups, const py::object& tier, size_t winograd_tile) {
    ConvArrays arrays(weight, bias, stride, groups);
    arrays.spec.winograd = winograd_argument(winograd_tile);
    return std::make_shared<ConvWeights>(arrays.spec, arrays.weight.data(), arrays.bias_data(),
                                         tier_argument(tier));
}

AlignedBuffer buffer_of(const py::object& object, const char* name) {
    const FloatArray array = checked_array<float>(object, name, {kAny});
    AlignedBuffer buffer(static_cast<size_t>(array.size()));
    std::copy_n(array.data(), array.size(), buffer.data());
    return buffer;
}

/// Positions (length, channels) as a buffer; the plan checks their number.
AlignedBuffer positions_of(const py::object& object, const char* name) {
    const FloatArray array = checked_array<float>(object, name, {kAny, kAny});
    AlignedBuffer buffer(static_cast<size_t>(array.size()));
    std::copy_n(array.data(), array.size(), buffer.data());
    return buffer;
}

ElementwiseOp elementwise_argument(const std::string& op) {
    if (op == "copy") {
        return ElementwiseOp::Copy;
    }
    if (op == "add") {
        return ElementwiseOp::Add;
    }
    if (op == "multiply") {
        return ElementwiseOp::Multiply;
    }
    if (op == "multiply_add") {
        return ElementwiseOp::MultiplyAdd;
    }
    throw std::invalid_argument("op: expected 'copy', 'add', 'multiply' or 'multiply_add', got '" + op + "'");
}

void register_builder(py::module_& module) {
    using py::arg;
    py::class_<PlanBuilder>(module, "PlanBuilder", "Collects tensors, by number, and nodes of a plan.")
        .def(py::init([](const py::object& tier) { return PlanBuilder(tier_argument(tier)); }),
             arg("tier") = py::none())
        .def("tensor", &PlanBuilder::tensor, arg("height"), arg("width"), arg("channels"))
        .def(
            "constant",
            [](PlanBuilder& self, const py::object& values) {
                const FloatArray rows = checked_array<float>(values, "values", {kAny, kAny});
                return self.constant(1, static_cast<size_t>(rows.shape(0)),
                                     static_cast<size_t>(rows.shape(1)), rows.data());
            },
            arg("values"), "Tokens (N, C) that never change.")
        .def("slice", &PlanBuilder::slice, arg("tensor"), arg("offset"), arg("channels"))
        .def("reshape", &PlanBuilder::reshape, arg("tensor"), arg("height"), arg("width"))
        .def("keep", &PlanBuilder::keep, arg("tensor"), arg("from_start") = false,
             "Keeps the values until the plan runs again; `from_start`: the memory is never shared.")
        .def(
            "conv",
            [](PlanBuilder& self, const std::string& name, TensorId x,
               const std::shared_ptr<ConvWeights>& weights, TensorId y, const py::object& activation,
               MaybeTensor residual) {
                self.conv(name, x, weights, y, activation_argument(activation), residual);
            },
            arg("name"), arg("x"), arg("weights").none(false), arg("y"), arg("activation") = py::none(),
            arg("residual") = py::none())
        .def(
            "xnnpack_conv",
            [](PlanBuilder& self, const std::string& name, TensorId x, const py::object& weight,
               const py::object& bias, TensorId y, size_t stride, size_t groups,
               const py::object& activation) {
                const ConvArrays arrays(weight, bias, stride, groups);
                self.xnnpack_conv(name, x, arrays.spec, arrays.weight.data(), arrays.bias_data(), y,
                                  activation_argument(activation));
            },
            arg("name"), arg("x"), arg("weight"), arg("bias"), arg("y"), arg("stride") = 1, arg("groups") = 1,
            arg("activation") = py::none(),
            "A convolution by XNNPACK; ValueError for an activation that it lacks.")
        .def(
            "inverted_residual",
            [](PlanBuilder& self, const std::string& name, TensorId x,
               const std::shared_ptr<ConvWeights>& expand, const std::shared_ptr<ConvWeights>& depthwise,
               const std::shared_ptr<ConvWeights>& project, TensorId y, const py::object& activation,
               MaybeTensor residual) {
                self.inverted_residual(name, x, expand, depthwise, project, y,
                                       activation_argument(activation), residual);
            },
            arg("name"), arg("x"), arg("expand"), arg("depthwise").none(false), arg("project").none(false),
            arg("y"), arg("activation") = py::none(), arg("residual") = py::none())
        .def(
            "elementwise",
            [](PlanBuilder& self, const std::string& name, const std::string& op, TensorId a, MaybeTensor b,
               MaybeTensor c, TensorId y, const py::object& activation) {
                self.elementwise(name, elementwise_argument(op), a, b, c, y, activation_argument(activation));
            },
            arg("name"), arg("op"), arg("a"), arg("b"), arg("c"), arg("y"), arg("activation") = py::none())
        .def(
            "resize",
            [](PlanBuilder& self, const std::string& name, TensorId x, MaybeTensor local, MaybeTensor shift,
               TensorId y, const py::object& activation) {
                self.resize(name, x, local, shift, y, activation_argument(activation));
            },
            arg("name"), arg("x"), arg("local"), arg("shift"), arg("y"), arg("activation") = py::none())
        .def("pool", &PlanBuilder::pool, arg("name"), arg("average"), arg("x"), arg("y"), arg("window") = 0)
        .def(
            "select",
            [](PlanBuilder& self, const std::string& name, const std::vector<std::array<TensorId, 4>>& levels,
               std::vector<size_t> groups, size_t candidates, float overlap, float margin, float window_scale,
               float least_half, TensorId y) {
                std::vector<SelectInputs> inputs;
                for (const auto& [kinds, objectness, boxes, features] : levels) {
                    inputs.push_back({kinds, objectness, boxes, features});
                }
                self.select(name, std::move(inputs),
                            {std::move(groups), candidates, overlap, margin, window_scale, least_half}, y);
            },
            arg("name"), arg("levels"), arg("groups"), arg("candidates"), arg("overlap"), arg("margin"),
            arg("window_scale"), arg("least_half"), arg("y"),
            "The best places of levels, each given by kinds, objectness, boxes and features: see "
            "mobileinst.network.selection.")
        .def(
            "layer_norm",
            [](PlanBuilder& self, const std::string& name, TensorId x, const py::object& weight,
               const py::object& bias, float eps, TensorId y) {
                self.layer_norm(name, x, buffer_of(weight, "weight"), buffer_of(bias, "bias"), eps, y);
            },
            arg("name"), arg("x"), arg("weight"), arg("bias"), arg("eps"), arg("y"))
        .def(
            "attention",
            [](PlanBuilder& self, const std::string& name, TensorId q, TensorId k, TensorId v, size_t heads,
               float scale, TensorId y, const py::object& activation) {
                self.attention(name, q, k, v, heads, scale, y, activation_argument(activation));
            },
            arg("name"), arg("q"), arg("k"), arg("v"), arg("heads"), arg("scale"), arg("y"),
            arg("activation") = py::none())
        .def(
            "axial_attention",
            [](PlanBuilder& self, const std::string& name, TensorId q, TensorId k, TensorId v, size_t heads,
               float scale, const py::object& row_query, const py::object& row_key,
               const std::shared_ptr<ConvWeights>& row_encode, const py::object& column_query,
               const py::object& column_key, const std::shared_ptr<ConvWeights>& column_encode, TensorId y) {
                AxialParameters rows{positions_of(row_query, "row_query"), positions_of(row_key, "row_key"),
                                     row_encode};
                AxialParameters columns{positions_of(column_query, "column_query"),
                                        positions_of(column_key, "column_key"), column_encode};
                self.axial_attention(name, q, k, v, heads, scale, std::move(rows), std::move(columns), y);
            },
            arg("name"), arg("q"), arg("k"), arg("v"), arg("heads"), arg("scale"), arg("row_query"),
            arg("row_key"), arg("row_encode").none(false), arg("column_query"), arg("column_key"),
            arg("column_encode").none(false), arg("y"))
        .def("next_section", &PlanBuilder::next_section, "Nodes from here on are run by themselves.")
        .def(
            "build",
            [](PlanBuilder& self, const std::shared_ptr<ThreadPool>& pool) {
                return std::make_unique<BoundPlan>(self.build(pool));
            },
            arg("pool").none(false), "Plans the memory; the builder is empty afterwards.");
}

}  // namespace

void register_plan(py::module_& module) {
    using py::arg;
    py::class_<ThreadPool, std::shared_ptr<ThreadPool>>(module, "ThreadPool", "Threads that plans share.")
        .def(py::init([](long long threads, long long pieces) {
                 check_range("threads", threads, 1, 1024);
                 check_range("pieces", pieces, 1, 64);
                 return std::make_shared<ThreadPool>(static_cast<size_t>(threads),
                                                     static_cast<size_t>(pieces));
             }),
             arg("threads"), arg("pieces") = 1)
        .def_property_readonly("pieces", &ThreadPool::pieces, "Ranges of work that a thread gets at least.")
        .def_property_readonly("threads", &ThreadPool::threads);
    py::class_<ConvWeights, std::shared_ptr<ConvWeights>>(module, "ConvWeights",
                                                          "Packed weights of a convolution or linear layer.")
        .def(py::init(&pack_conv), arg("weight"), arg("bias") = py::none(), arg("stride") = 1,
             arg("groups") = 1, arg("tier") = py::none(), arg("winograd_tile") = 6)
        .def_property_readonly("kind",
                               [](const ConvWeights& self) { return std::string(kind_name(self.kind())); });
    module.def(
        "winograd_tile",
        [](size_t height, size_t width) { return static_cast<size_t>(choose_winograd(height, width)); },
        arg("height"), arg("width"),
        "Outputs on each side of the Winograd tiles that suit 3x3 convolutions of such maps.");
    register_builder(module);
    py::class_<BoundPlan>(module, "Plan", "Nodes over one arena, ready to run.")
        .def("run", &BoundPlan::run, arg("section") = 0)
        .def("load_frame", &BoundPlan::load_frame, arg("tensor"), arg("frame"), arg("mean"), arg("std"),
             arg("bgr") = false)
        .def("write", &BoundPlan::write, arg("tensor"), arg("planes"), arg("name") = "planes",
             "Copies finite float32 (C, H, W) into a tensor.")
        .def("read", &BoundPlan::read, arg("tensor"), "A tensor as float32 (C, H, W).")
        .def("read_tokens", &BoundPlan::read_tokens, arg("tensor"), "A tensor as float32 (pixels, C).")
        .def("mask_logits", &BoundPlan::mask_logits, arg("tensor"), arg("kernels"),
             arg("projection") = py::none(),
             "Products (n, H, W) of kernels (n, D) with a map; `projection`: see MaskKernels.")
        .def("profile", &BoundPlan::profile, "Nodes with the time of their last run.")
        .def_property_readonly("arena_bytes", &BoundPlan::arena_bytes);
}

}  // namespace mobileinst
