#include <optional>

#include "plan/nodes.h"
#include "xnnpack/operators.h"

namespace mobileinst {
namespace {

xnnpack::Operator make_operator(const ConvSpec& conv, Activation activation, const Tensor& x, const Tensor& y,
                                const float* weight, const float* bias) {
    if (conv.kind() == ConvKind::Gemm) {
        xnnpack::FullyConnected shape;
        shape.rows = x.pixels();
        shape.in_features = conv.in_channels;
        shape.out_features = conv.out_channels;
        shape.in_ld = x.stride / sizeof(float);
        shape.out_ld = y.stride / sizeof(float);
        shape.activation = activation;
        return {shape, weight, bias};
    }
    xnnpack::Convolution shape;
    shape.height = x.height;
    shape.width = x.width;
    shape.in_channels = conv.in_channels;
    shape.out_channels = conv.out_channels;
    shape.kernel = conv.kernel;
    shape.stride = conv.stride;
    shape.groups = conv.groups;
    shape.in_ld = x.stride / sizeof(float);
    shape.out_ld = y.stride / sizeof(float);
    shape.activation = activation;
    return {shape, weight, bias};
}

/// A convolution or linear layer with its activation, whose weights XNNPACK packs.
class XnnpackNode final : public Node {
  public:
    XnnpackNode(NodeSpec& spec, const std::vector<Tensor>& tensors, const ConvSpec& conv, const float* weight,
                const float* bias)
        : Node(spec, std::string(kind_name(conv.kind())) + " xnnpack", 1, 1),
          conv_(conv),
          x_(tensors[inputs()[0]]),
          y_(tensors[output()]),
          operator_(make_operator(checked(), spec.activation, x_, y_, weight, bias)) {}

    void bind(const std::vector<Tensor>& tensors) override {
        x_ = tensors[inputs().front()];
        y_ = tensors[output()];
    }

    size_t scratch_size() const override { return operator_.workspace_size(); }
    uint64_t macs() const override { return y_.pixels() * conv_.weight_count(); }
    uint64_t parameter_bytes() const override {
        return (conv_.weight_count() + conv_.out_channels) * sizeof(float);
    }

    void run(const Workers& workers) const override {
        operator_.run(static_cast<const float*>(x_.data), static_cast<float*>(y_.data), workers.scratch,
                      workers.pool);
    }

  private:
    const ConvSpec& checked() const {
        expect(conv_.maps(x_, y_), "convolution of input into output", {x_, y_});
        return conv_;
    }

    ConvSpec conv_;
    Tensor x_, y_;
    xnnpack::Operator operator_;
};

}  // namespace

std::unique_ptr<Node> make_xnnpack_node(NodeSpec& spec, const std::vector<Tensor>& tensors) {
    const auto weight = spec.take<FloatArrayAttribute>("weight");
    const auto bias = spec.take_optional<FloatArrayAttribute>("bias");
    const auto stride = spec.take<int64_t>("stride"), groups = spec.take<int64_t>("groups");
    const ConvSpec conv =
        ConvSpec::of(weight.shape, static_cast<size_t>(stride), static_cast<size_t>(groups));
    spec.expect(!bias || bias->values.size() == conv.out_channels * sizeof(float),
                "a bias for each output channel");
    return std::make_unique<XnnpackNode>(spec, tensors, conv, weight.values.floats(),
                                         bias ? bias->values.floats() : nullptr);
}

}  // namespace mobileinst
