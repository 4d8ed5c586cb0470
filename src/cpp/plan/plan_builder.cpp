#include <algorithm>
#include <stdexcept>

#include "kernels/select/select.h"
#include "plan/conv_nodes.h"
#include "plan/inverted_residual_node.h"
#include "plan/light_nodes.h"
#include "plan/plan.h"
#include "plan/xnnpack_node.h"
#include "xnnpack/operators.h"

namespace mobileinst {
namespace {

/// Pixels and floats of a tensor stay far from where sizes overflow.
constexpr size_t kMaxFloats = size_t{1} << 34;

}  // namespace

TensorId PlanBuilder::add(PlannedTensor tensor) {
    tensors_.push_back(std::move(tensor));
    return tensors_.size() - 1;
}

TensorId PlanBuilder::tensor(size_t height, size_t width, size_t channels) {
    const size_t limit = size_t{1} << 24;
    if (height == 0 || width == 0 || channels == 0 || height > limit || width > limit || channels > limit ||
        height * width > kMaxFloats / channels) {
        throw std::invalid_argument("tensor: expected extents from 1, at most 2^34 values in all, got " +
                                    std::to_string(height) + " x " + std::to_string(width) + " x " +
                                    std::to_string(channels));
    }
    PlannedTensor made;
    made.height = height;
    made.width = width;
    made.channels = channels;
    made.root = tensors_.size();
    return add(std::move(made));
}

TensorId PlanBuilder::constant(size_t height, size_t width, size_t channels, const float* values) {
    const TensorId id = tensor(height, width, channels);
    tensors_[id].constant = true;
    tensors_[id].values = AlignedBuffer(height * width * channels + xnnpack::kReadAhead);
    std::copy_n(values, height * width * channels, tensors_[id].values.data());
    return id;
}

TensorId PlanBuilder::slice(TensorId tensor, size_t offset, size_t channels) {
    const PlannedTensor& source = at(tensor);
    if (channels == 0 || channels > source.channels || offset > source.channels - channels) {
        throw std::invalid_argument("slice: expected channels within " + shape(tensor) + ", got " +
                                    std::to_string(channels) + " from " + std::to_string(offset));
    }
    PlannedTensor view;
    view.height = source.height;
    view.width = source.width;
    view.channels = channels;
    view.root = source.root;
    view.offset = source.offset + offset;
    return add(std::move(view));
}

TensorId PlanBuilder::reshape(TensorId tensor, size_t height, size_t width) {
    const PlannedTensor& source = at(tensor);
    if (height == 0 || width != source.pixels() / height || height * width != source.pixels()) {
        throw std::invalid_argument("reshape: expected a grid of " + std::to_string(source.pixels()) +
                                    " pixels, got " + std::to_string(height) + " x " + std::to_string(width));
    }
    PlannedTensor view;
    view.height = height;
    view.width = width;
    view.channels = source.channels;
    view.root = source.root;
    view.offset = source.offset;
    return add(std::move(view));
}

void PlanBuilder::keep(TensorId tensor, bool from_start) {
    at(tensor);
    tensors_[tensor].kept = true;
    tensors_[tensor].from_start = tensors_[tensor].from_start || from_start;
}

void PlanBuilder::conv(const std::string& name, TensorId x, const std::shared_ptr<const ConvWeights>& weights,
                       TensorId y, Activation activation, std::optional<TensorId> residual) {
    expect_conv(name, x, weights->spec(), y);
    expect(!residual || same_shape(*residual, y), name, "residual of the output's shape",
           {residual.value_or(y), y});
    expect(weights->tier() == tier_, name, "weights packed for the plan's tier", {});
    push(make_conv_node({name, x, y, residual, weights, activation}));
}

void PlanBuilder::xnnpack_conv(const std::string& name, TensorId x, const ConvSpec& spec, const float* weight,
                               const float* bias, TensorId y, Activation activation) {
    spec.check();
    expect_conv(name, x, spec, y);
    const PlannedTensor &in = at(x), &out = at(y);
    const size_t in_ld = tensors_[in.root].channels, out_ld = tensors_[out.root].channels;
    push(make_xnnpack_node({name, x, y, spec, activation, in.height, in.width, in_ld, out_ld}, weight, bias));
}

void PlanBuilder::inverted_residual(const std::string& name, TensorId x,
                                    const std::shared_ptr<const ConvWeights>& expand,
                                    const std::shared_ptr<const ConvWeights>& depthwise,
                                    const std::shared_ptr<const ConvWeights>& project, TensorId y,
                                    Activation activation, std::optional<TensorId> residual) {
    const ConvSpec &filter = depthwise->spec(), &last = project->spec();
    const PlannedTensor &in = at(x), &out = at(y);
    expect(depthwise->kind() == ConvKind::Depthwise && project->kind() == ConvKind::Gemm &&
               (expand == nullptr || expand->kind() == ConvKind::Gemm),
           name, "1x1, depthwise and 1x1 weights", {});
    expect((filter.kernel == 3 || filter.kernel == 5) && filter.stride <= 2, name,
           "a depthwise kernel of 3 or 5 and a stride of 1 or 2", {});
    const size_t first = expand == nullptr ? filter.in_channels : expand->spec().in_channels;
    const size_t hidden = expand == nullptr ? filter.in_channels : expand->spec().out_channels;
    expect(in.channels == first && filter.in_channels == hidden && last.in_channels == hidden &&
               out.channels == last.out_channels && out.height == (in.height - 1) / filter.stride + 1 &&
               out.width == (in.width - 1) / filter.stride + 1,
           name, "inverted residual of input into output", {x, y});
    expect(!residual || same_shape(*residual, y), name, "residual of the output's shape",
           {residual.value_or(y), y});
    expect(depthwise->tier() == tier_ && project->tier() == tier_ &&
               (expand == nullptr || expand->tier() == tier_),
           name, "weights packed for the plan's tier", {});
    push(make_inverted_residual_node({name, x, y, residual, expand, depthwise, project, activation}));
}

void PlanBuilder::elementwise(const std::string& name, ElementwiseOp op, TensorId a,
                              std::optional<TensorId> b, std::optional<TensorId> c, TensorId y,
                              Activation activation) {
    const size_t operands = op == ElementwiseOp::Copy ? 1 : op == ElementwiseOp::MultiplyAdd ? 3 : 2;
    expect(b.has_value() == (operands > 1) && c.has_value() == (operands > 2), name,
           "as many operands as the operation takes", {});
    expect(same_shape(a, y) && same_shape(b.value_or(a), y) && same_shape(c.value_or(a), y), name,
           "operands of the output's shape", {a, b.value_or(a), c.value_or(a), y});
    push(make_elementwise_node(name, tier_, op, a, b, c, y, activation));
}

void PlanBuilder::resize(const std::string& name, TensorId x, std::optional<TensorId> local,
                         std::optional<TensorId> shift, TensorId y, Activation activation) {
    expect(at(x).channels == at(y).channels, name, "as many channels out as in", {x, y});
    expect(!local || same_shape(*local, y), name, "a local map of the output's shape",
           {local.value_or(y), y});
    expect(!shift || (local && same_shape(*shift, x)), name, "a local map, and a shift of the input's shape",
           {shift.value_or(x), x});
    push(make_resize_node(name, tier_, x, local, shift, y, activation));
}

void PlanBuilder::pool(const std::string& name, bool average, TensorId x, TensorId y, size_t window) {
    expect(at(x).channels == at(y).channels, name, "as many channels out as in", {x, y});
    expect(window == 0 || (window % 2 == 1 && same_shape(x, y)), name,
           "an odd window, and an output of the input's shape", {x, y});
    push(make_pool_node(name, tier_, average, window, x, y));
}

void PlanBuilder::select(const std::string& name, std::vector<SelectInputs> levels, SelectChoice choice,
                         TensorId y) {
    expect(!levels.empty() && !choice.groups.empty() && choice.candidates > 0, name,
           "levels, groups and candidates", {});
    size_t kinds = 0;
    for (const size_t group : choice.groups) {
        expect(group > 0, name, "groups of at least one kind", {});
        kinds += group;
    }
    const size_t features = at(levels[0].features).channels;
    for (const SelectInputs& level : levels) {
        const size_t places = at(level.kinds).pixels();
        expect(at(level.kinds).channels == kinds && at(level.objectness).channels == 1 &&
                   at(level.boxes).channels == 4 && at(level.features).channels == features &&
                   at(level.objectness).pixels() == places && at(level.boxes).pixels() == places &&
                   at(level.features).pixels() == places,
               name, "kinds, objectness, boxes and features of the same places",
               {level.kinds, level.objectness, level.boxes, level.features});
    }
    expect(at(y).channels == levels.size() * (features + 1) + choice.groups.size() +
                                 SelectArgs::kBoxChannels + SelectArgs::kWindowChannels,
           name, "an output that holds a selected place", {y});
    push(make_select_node(name, std::move(levels), std::move(choice), y));
}

void PlanBuilder::layer_norm(const std::string& name, TensorId x, AlignedBuffer weight, AlignedBuffer bias,
                             float eps, TensorId y) {
    expect(same_shape(x, y), name, "an output of the input's shape", {x, y});
    expect(weight.size() == at(x).channels && bias.size() == at(x).channels, name,
           "a weight and a bias for each channel", {x});
    push(make_layer_norm_node(name, tier_, x, std::move(weight), std::move(bias), eps, y));
}

void PlanBuilder::attention(const std::string& name, TensorId q, TensorId k, TensorId v, size_t heads,
                            float scale, TensorId y, Activation activation) {
    expect(heads > 0 && at(q).channels % heads == 0 && at(v).channels % heads == 0, name,
           "heads that divide the channels", {q, v});
    expect(at(q).channels == at(k).channels && at(k).pixels() == at(v).pixels() &&
               at(q).pixels() == at(y).pixels() && at(y).channels == at(v).channels,
           name, "fitting query, key, value and output", {q, k, v, y});
    push(make_attention_node(name, tier_, q, k, v, heads, scale, activation, y));
}

void PlanBuilder::axial_attention(const std::string& name, TensorId q, TensorId k, TensorId v, size_t heads,
                                  float scale, AxialParameters rows, AxialParameters columns, TensorId y) {
    const PlannedTensor &keys = at(k), &values = at(v);
    expect(heads > 0 && keys.channels % heads == 0 && values.channels % heads == 0, name,
           "heads that divide the channels", {k, v});
    expect(same_shape(q, k) && same_shape(v, y) && keys.height == values.height && keys.width == values.width,
           name, "fitting query, key, value and output", {q, k, v, y});
    for (const auto& [parameters, length] :
         {std::make_pair(&rows, keys.height), std::make_pair(&columns, keys.width)}) {
        const size_t positions = length * keys.channels;
        expect(
            parameters->query_positions.size() == positions && parameters->key_positions.size() == positions,
            name, "positions of (side of the map, key channels)", {k});
        const ConvSpec& spec = parameters->encode->spec();
        expect(parameters->encode->kind() == ConvKind::Gemm && parameters->encode->tier() == tier_ &&
                   spec.in_channels == values.channels && spec.out_channels == values.channels,
               name, "1x1 convolutions from and to the value's channels", {v});
    }
    push(make_axial_attention_node(name, tier_, q, k, v, heads, scale, std::move(rows), std::move(columns),
                                   y));
}

std::unique_ptr<Plan> PlanBuilder::build(std::shared_ptr<ThreadPool> pool) {
    next_section();
    auto plan = std::make_unique<Plan>(tier_, std::move(tensors_), std::move(nodes_),
                                       std::move(section_ends_), std::move(pool));
    tensors_.clear();
    nodes_.clear();
    section_ends_.clear();
    return plan;
}

const PlannedTensor& PlanBuilder::at(TensorId tensor) const {
    if (tensor >= tensors_.size()) {
        throw std::invalid_argument("tensor: expected a number below " + std::to_string(tensors_.size()) +
                                    ", got " + std::to_string(tensor));
    }
    return tensors_[tensor];
}

std::string PlanBuilder::shape(TensorId tensor) const {
    const PlannedTensor& t = at(tensor);
    return "(" + std::to_string(t.height) + ", " + std::to_string(t.width) + ", " +
           std::to_string(t.channels) + ")";
}

void PlanBuilder::expect(bool fits, const std::string& name, const char* what,
                         std::initializer_list<TensorId> tensors) const {
    if (fits) {
        return;
    }
    std::string text = name + ": expected " + what;
    const char* separator = ", got ";
    for (const TensorId tensor : tensors) {
        text += separator + shape(tensor);
        separator = ", ";
    }
    throw std::invalid_argument(text);
}

void PlanBuilder::expect_conv(const std::string& name, TensorId x, const ConvSpec& spec, TensorId y) const {
    const PlannedTensor &in = at(x), &out = at(y);
    expect(in.channels == spec.in_channels && out.channels == spec.out_channels &&
               out.height == (in.height - 1) / spec.stride + 1 &&
               out.width == (in.width - 1) / spec.stride + 1,
           name, "convolution of input into output", {x, y});
}

bool PlanBuilder::same_shape(TensorId a, TensorId b) const {
    return at(a).height == at(b).height && at(a).width == at(b).width && at(a).channels == at(b).channels;
}

void PlanBuilder::push(std::unique_ptr<Node> node) {
    expect(!at(at(node->output()).root).constant, node->name(), "an output that is not a constant",
           {node->output()});
    nodes_.push_back(std::move(node));
}

}  // namespace mobileinst
