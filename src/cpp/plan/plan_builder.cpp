#include "plan/plan_builder.h"

#include <algorithm>
#include <cmath>
#include <stdexcept>
#include <utility>

#include "kernels/convert/convert.h"
#include "plan/nodes.h"
#include "xnnpack/operators.h"

namespace mobileinst {
namespace {

/// Extents and elements of a tensor stay far from where sizes overflow, whose bits are 64 or 32.
constexpr size_t kMaxExtent = size_t{1} << 24;
constexpr int kMaxElementBits = sizeof(size_t) == 8 ? 34 : 28;
constexpr size_t kMaxElements = size_t{1} << kMaxElementBits;

void check_quantisation(const Quantisation& given) {
    if (!(given.scale > 0.0f) || !std::isfinite(given.scale) || given.zero < -128 || given.zero > 127) {
        throw std::invalid_argument("quantisation: expected a scale above 0 and a zero in -128..127, got " +
                                    std::to_string(given.scale) + " and " + std::to_string(given.zero));
    }
}

}  // namespace

TensorId PlanBuilder::tensor(size_t height, size_t width, size_t channels, DType dtype,
                             Quantisation quantisation) {
    if (height == 0 || width == 0 || channels == 0 || height > kMaxExtent || width > kMaxExtent ||
        channels > kMaxExtent || height > kMaxElements / width || height * width > kMaxElements / channels) {
        throw std::invalid_argument("tensor: expected extents from 1, at most 2^" +
                                    std::to_string(kMaxElementBits) + " values in all, got " +
                                    std::to_string(height) + " x " + std::to_string(width) + " x " +
                                    std::to_string(channels));
    }
    check_quantisation(quantisation);
    PlannedTensor made;
    made.tensor = make_tensor(dtype, nullptr, height, width, channels, channels);
    made.tensor.quantisation = quantisation;
    made.root = tensors_.size();
    shapes_.push_back(made.tensor);
    tensors_.push_back(std::move(made));
    return shapes_.size() - 1;
}

TensorId PlanBuilder::constant(size_t count, size_t channels, const float* values, DType dtype,
                               Quantisation quantisation) {
    const TensorId id = tensor(1, count, channels, dtype, quantisation);
    tensors_[id].constant = true;
    tensors_[id].values = AlignedBuffer(at(id).bytes() + xnnpack::kReadAhead);
    if (dtype == DType::Float32) {
        std::copy_n(values, count * channels, tensors_[id].values.floats());
    } else {
        ConvertArgs args{float_matrix(values, count, channels), at(id)};
        args.output.data = tensors_[id].values.data();
        convert_kernel(tier_, DType::Float32, dtype)(args, 0, count);
    }
    return id;
}

TensorId PlanBuilder::slice(TensorId tensor, size_t offset, size_t channels,
                            const std::optional<Quantisation>& quantisation) {
    const Tensor& source = at(tensor);
    if (channels == 0 || channels > source.channels || offset > source.channels - channels) {
        throw std::invalid_argument("slice: expected channels within " + std::to_string(source.channels) +
                                    ", got " + std::to_string(channels) + " from " + std::to_string(offset));
    }
    const TensorId made = view(tensor, source.height, source.width, offset, channels);
    if (quantisation) {
        check_quantisation(*quantisation);
        tensors_[made].tensor.quantisation = *quantisation;
        shapes_[made].quantisation = *quantisation;
    }
    return made;
}

TensorId PlanBuilder::reshape(TensorId tensor, size_t height, size_t width) {
    const Tensor& source = at(tensor);
    if (height == 0 || width != source.pixels() / height || height * width != source.pixels()) {
        throw std::invalid_argument("reshape: expected a grid of " + std::to_string(source.pixels()) +
                                    " pixels, got " + std::to_string(height) + " x " + std::to_string(width));
    }
    return view(tensor, height, width, 0, source.channels);
}

TensorId PlanBuilder::view(TensorId of, size_t height, size_t width, size_t offset, size_t channels) {
    PlannedTensor made;
    made.tensor = shapes_[of];
    made.tensor.height = height;
    made.tensor.width = width;
    made.tensor.channels = channels;
    made.root = tensors_[of].root;
    made.offset = tensors_[of].offset + offset * size_of(made.tensor.dtype);
    shapes_.push_back(made.tensor);
    tensors_.push_back(std::move(made));
    return shapes_.size() - 1;
}

void PlanBuilder::keep(TensorId tensor, bool from_start) {
    at(tensor);
    tensors_[tensor].kept = true;
    tensors_[tensor].from_start = tensors_[tensor].from_start || from_start;
}

void PlanBuilder::add(NodeSpec spec) {
    spec.tier = tier_;
    for (const TensorId input : spec.inputs) {
        at(input);
    }
    at(spec.output);
    spec.expect(!tensors_[tensors_[spec.output].root].constant, "an output that is not a constant");
    nodes_.push_back(make_node(std::move(spec), shapes_));
}

std::unique_ptr<Plan> PlanBuilder::build(std::shared_ptr<ThreadPool> pool) {
    next_section();
    auto plan = std::make_unique<Plan>(tier_, std::move(tensors_), std::move(nodes_),
                                       std::move(section_ends_), std::move(pool));
    *this = PlanBuilder(tier_);
    return plan;
}

const Tensor& PlanBuilder::at(TensorId tensor) const {
    if (tensor >= shapes_.size()) {
        throw std::invalid_argument("tensor: expected a number below " + std::to_string(shapes_.size()) +
                                    ", got " + std::to_string(tensor));
    }
    return shapes_[tensor];
}

}  // namespace mobileinst
