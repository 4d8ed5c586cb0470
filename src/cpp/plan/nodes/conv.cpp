#include <utility>

#include "kernels/convolution/convolution.h"
#include "plan/conv_requantisation.h"
#include "plan/nodes.h"

namespace mobileinst {
namespace {

using Weights = std::shared_ptr<const ConvWeights>;

/// How many ranges a thread may get, and what work weighs beside its multiply-adds.
struct Splitting {
    size_t per_thread;
    uint64_t weight;
};

Splitting splitting_of(ConvKind kind) {
    switch (kind) {
        case ConvKind::Conv3x3:
            return {1, 1};  // each range reads all weights
        case ConvKind::Depthwise:
            return {2, 4};  // waits for memory
        default:
            return {2, 1};
    }
}

/// The quantisation of the argument of the activation: attributes sums_scale and sums_zero.
std::optional<Quantisation> take_sums(NodeSpec& spec) {
    const auto scale = spec.take_optional<double>("sums_scale");
    const auto zero = spec.take_optional<int64_t>("sums_zero");
    if (!scale) {
        return std::nullopt;
    }
    return Quantisation{static_cast<float>(*scale), static_cast<int32_t>(zero.value_or(0))};
}

/// A convolution or linear layer with its activation, then the residual added, which is the second input. Row
/// by row if it is of ConvKind::Direct. Integers give integers, or floats.
class ConvNode final : public Node, public RowWise {
  public:
    ConvNode(NodeSpec& spec, const std::vector<Tensor>& tensors, Weights weights)
        : Node(spec, kind_name(weights->kind()), 1, 2),
          weights_(std::move(weights)),
          kernels_(
              conv_kernels(weights_->tier(), weights_->kind(), weights_->winograd(), weights_->dtype())) {
        const Tensor &x = tensors[inputs()[0]], &y = tensors[output()];
        expect(conv().maps(x, y), "convolution of input into output", {x, y});
        if (has_residual()) {
            const Tensor& residual = tensors[inputs()[1]];
            expect(same_shape(residual, y), "residual of the output's shape", {residual, y});
        }
        expect(weights_->tier() == spec.tier, "weights packed for the plan's tier", {});
        check_types(x, y, has_residual() ? &tensors[inputs()[1]] : nullptr);
        if (weights_->dtype() == DType::Int8) {
            requantisation_ =
                ConvRequantisation(*weights_, spec.activation, x, y,
                                   has_residual() ? &tensors[inputs()[1]] : nullptr, take_sums(spec));
            args_.requantisation = requantisation_.view();
        }
        take_border(spec);
        args_.packed = weights_->packed();
        args_.kernel = conv().kernel;
        args_.stride = conv().stride;
        args_.groups = conv().groups;
        args_.epilogue.bias = weights_->bias();
        args_.epilogue.activation = spec.activation;
    }

    bool in_place(TensorId input) const override {
        return has_residual() && inputs()[1] == input && inputs()[0] != input;
    }

    void bind(const std::vector<Tensor>& tensors) override {
        args_.input = tensors[inputs()[0]];
        args_.output = tensors[output()];
        if (has_residual()) {
            args_.epilogue.residual = tensors[inputs()[1]];
        }
    }

    size_t scratch_size() const override { return kernels_.scratch_size(args_); }
    uint64_t macs() const override { return args_.output.pixels() * conv().weight_count(); }
    uint64_t parameter_bytes() const override {
        return conv().weight_count() * size_of(weights_->dtype()) + conv().out_channels * sizeof(float);
    }

    void run(const Workers& workers) const override {
        const Splitting splitting = splitting_of(weights_->kind());
        workers.pool.run(kernels_.units(args_), kernels_.unit_tile,
                         workers.chunks(macs() * splitting.weight, splitting.per_thread),
                         [&](size_t begin, size_t end, size_t thread) {
                             kernels_.run(args_, begin, end, workers.scratch_of(thread));
                         });
    }

    const RowWise* row_wise() const override { return weights_->kind() == ConvKind::Direct ? this : nullptr; }
    bool reads_ring() const override { return false; }
    bool writes_ring() const override {
        return weights_->tier() != Tier::Ref && weights_->dtype() != DType::Float16 && !has_residual();
    }
    size_t window() const override { return args_.kernel; }
    size_t row_stride() const override { return args_.stride; }

    void run_row(size_t row, const Rows& input, const Rows& output, void* scratch,
                 bool /*resumes*/) const override {
        ConvArgs args = args_;
        args.input.data = input.data;
        args.output.data = output.data;
        args.output_ring = output.ring;
        kernels_.run(args, row, row + 1, scratch);
    }

  private:
    const ConvSpec& conv() const { return weights_->spec(); }
    bool has_residual() const { return inputs().size() > 1; }

    /// What lies outside an image of bytes: attribute border.
    void take_border(NodeSpec& spec) {
        const auto border = spec.take_optional<std::vector<int64_t>>("border");
        if (!border) {
            return;
        }
        expect(weights_->dtype() == DType::Int8 && weights_->kind() == ConvKind::Direct &&
                   conv().groups == 1 && border->size() == conv().in_channels,
               "a border of a number for each input channel, of an int8 convolution of many pixels", {});
        for (const int64_t value : *border) {
            expect(value >= -128 && value <= 127, "a border of 8-bit integers", {});
            border_.push_back(static_cast<int8_t>(value));
        }
        args_.border = border_.data();
    }

    void check_types(const Tensor& x, const Tensor& y, const Tensor* residual) const {
        expect(x.dtype == weights_->dtype() && (y.dtype == x.dtype || x.dtype == DType::Int8),
               "input, weights and output of one type, or int8 to floats", {x, y});
        expect(residual == nullptr || residual->dtype == y.dtype, "a residual of the output's type", {y});
    }

    Weights weights_;
    const ConvKernels& kernels_;
    ConvRequantisation requantisation_;
    std::vector<int8_t> border_;
    ConvArgs args_;
};

}  // namespace

std::unique_ptr<Node> make_conv_node(NodeSpec& spec, const std::vector<Tensor>& tensors) {
    return std::make_unique<ConvNode>(spec, tensors, spec.take<Weights>("weights"));
}

}  // namespace mobileinst
