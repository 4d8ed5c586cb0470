#include <algorithm>
#include <memory>
#include <optional>
#include <stdexcept>

#include "bindings/bindings.h"
#include "kernels/convert/convert.h"
#include "kernels/kernel_table.h"
#include "kernels/transpose/transpose.h"
#include "plan/frame_loader.h"
#include "plan/mask_head.h"
#include "plan/plan_builder.h"

namespace mobileinst {
namespace {

constexpr int kMaxThreads = 1024;

/// A tensor's values as floats: itself if it has them, or converted.
class AsFloats {
  public:
    AsFloats(Tier tier, const Tensor& tensor) : tensor_(tensor) {
        if (tensor.dtype == DType::Float32) {
            return;
        }
        values_ = AlignedBuffer::of_floats(tensor.pixels() * tensor.channels);
        tensor_ =
            float_tensor(values_.floats(), tensor.height, tensor.width, tensor.channels, tensor.channels);
        convert_kernel(tier, tensor.dtype, DType::Float32)({tensor, tensor_}, 0, tensor.pixels());
    }

    const Tensor& tensor() const { return tensor_; }

  private:
    AlignedBuffer values_;
    Tensor tensor_;
};

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
        expect_floats(tensor);
        const FloatArray array = checked_array<float>(planes, name.c_str(), shape_of(tensor));
        const float* source = array.data();
        GilRelease release;
        const size_t pixels = tensor.pixels();
        check_finite(name.c_str(), source, pixels * tensor.channels);
        const std::lock_guard<std::mutex> lock(plan_->mutex());
        kernels_of(plan_->tier(), &KernelTable::transpose)
            .run({float_matrix(source, tensor.channels, pixels), tensor});
    }

    /// Takes normalised planes (3, height, width), which must be finite, as load_frame() takes frames.
    void load_planes(TensorId id, const py::object& planes, const std::vector<float>& mean,
                     const std::vector<float>& std, const std::string& name) {
        const Tensor& input = image_tensor(id);
        if (input.dtype == DType::Float32) {
            return write(id, planes, name);
        }
        const FloatArray array = checked_array<float>(planes, name.c_str(), shape_of(input));
        PreprocessArgs args;
        set_normalisation(&args, mean, std);
        const float* source = array.data();
        GilRelease release;
        check_finite(name.c_str(), source, input.pixels() * input.channels);
        const std::lock_guard<std::mutex> lock(plan_->mutex());
        FrameLoader::load_planes(source, args, input);
    }

    /// A tensor as planes (channels, height, width), whatever its type.
    FloatArray read(TensorId id) {
        const Tensor& tensor = plan_->tensor(id);
        FloatArray result(shape_of(tensor));
        float* planes = result.mutable_data();
        GilRelease release;
        const std::lock_guard<std::mutex> lock(plan_->mutex());
        const AsFloats floats(plan_->tier(), tensor);
        kernels_of(plan_->tier(), &KernelTable::transpose)
            .run({floats.tensor(), float_matrix(planes, tensor.channels, tensor.pixels())});
        return result;
    }

    /// A tensor as rows (pixels, channels), whatever its type.
    FloatArray read_tokens(TensorId id) {
        const Tensor& tensor = plan_->tensor(id);
        FloatArray result(
            {static_cast<py::ssize_t>(tensor.pixels()), static_cast<py::ssize_t>(tensor.channels)});
        const std::lock_guard<std::mutex> lock(plan_->mutex());
        const AsFloats floats(plan_->tier(), tensor);
        for (size_t row = 0; row < tensor.pixels(); ++row) {
            std::copy_n(Map<const float>(floats.tensor()).pixel(row), tensor.channels,
                        result.mutable_data() + row * tensor.channels);
        }
        return result;
    }

    FloatArray mask_logits(TensorId id, const py::object& kernels, const py::object& projection) {
        const Tensor& map = plan_->tensor(id);
        expect_floats(map);
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
            entry["dtype"] = dtype_name(node.dtype);
            entry["milliseconds"] = node.milliseconds;
            entry["macs"] = node.macs;
            entry["bytes"] = node.bytes;
            all.append(entry);
        }
        return all;
    }

    size_t arena_bytes() const { return plan_->arena_bytes(); }

  private:
    static void expect_floats(const Tensor& tensor) {
        if (tensor.dtype != DType::Float32) {
            throw std::invalid_argument(std::string("expected a tensor of float32, got one of ") +
                                        dtype_name(tensor.dtype));
        }
    }

    static std::vector<py::ssize_t> shape_of(const Tensor& tensor) {
        return {static_cast<py::ssize_t>(tensor.channels), static_cast<py::ssize_t>(tensor.height),
                static_cast<py::ssize_t>(tensor.width)};
    }

    const Tensor& image_tensor(TensorId id) const {
        const Tensor& tensor = plan_->tensor(id);
        if (tensor.dtype != DType::Int8) {
            expect_floats(tensor);
        }
        if (tensor.channels != 3 || tensor.stride != 3 * size_of(tensor.dtype)) {
            throw std::invalid_argument("expected an input tensor of 3 channels, got one of " +
                                        std::to_string(tensor.channels));
        }
        return tensor;
    }

    std::unique_ptr<Plan> plan_;
    FrameLoader frames_;
    MaskHead masks_;
};

}  // namespace

void register_plan(py::module_& module) {
    using py::arg;
    module.attr("MAX_THREADS") = kMaxThreads;
    py::class_<ThreadPool, std::shared_ptr<ThreadPool>>(module, "ThreadPool", "Threads that plans share.")
        .def(py::init([](long long threads, long long pieces) {
                 check_range("threads", threads, 1, kMaxThreads);
                 check_range("pieces", pieces, 1, 64);
                 return std::make_shared<ThreadPool>(static_cast<size_t>(threads),
                                                     static_cast<size_t>(pieces));
             }),
             arg("threads"), arg("pieces") = 1)
        .def_property_readonly("pieces", &ThreadPool::pieces, "Ranges of work that a thread gets at least.")
        .def_property_readonly("threads", &ThreadPool::threads);
    py::class_<BoundPlan>(module, "Plan", "Nodes over one arena, ready to run.")
        .def(py::init([](PlanBuilder& builder, const std::shared_ptr<ThreadPool>& pool) {
                 return std::make_unique<BoundPlan>(builder.build(pool));
             }),
             arg("builder"), arg("pool").none(false), "Plans the memory; the builder is empty afterwards.")
        .def("run", &BoundPlan::run, arg("section") = 0)
        .def("load_frame", &BoundPlan::load_frame, arg("tensor"), arg("frame"), arg("mean"), arg("std"),
             arg("bgr") = false)
        .def("load_planes", &BoundPlan::load_planes, arg("tensor"), arg("planes"), arg("mean"), arg("std"),
             arg("name") = "planes",
             "Takes a normalised image, float32 (3, H, W); an input of bytes rounds it.")
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
