#include "plan/xnnpack_node.h"

#include <utility>

#include "xnnpack/operators.h"

namespace mobileinst {
namespace {

xnnpack::Operator make_operator(const XnnpackNodeSpec& spec, const float* weight, const float* bias) {
    const ConvSpec& conv = spec.conv;
    if (choose_kind(conv) == ConvKind::Gemm) {
        xnnpack::FullyConnected shape;
        shape.rows = spec.height * spec.width;
        shape.in_features = conv.in_channels;
        shape.out_features = conv.out_channels;
        shape.in_ld = spec.in_ld;
        shape.out_ld = spec.out_ld;
        shape.activation = spec.activation;
        return {shape, weight, bias};
    }
    xnnpack::Convolution shape;
    shape.height = spec.height;
    shape.width = spec.width;
    shape.in_channels = conv.in_channels;
    shape.out_channels = conv.out_channels;
    shape.kernel = conv.kernel;
    shape.stride = conv.stride;
    shape.groups = conv.groups;
    shape.in_ld = spec.in_ld;
    shape.out_ld = spec.out_ld;
    shape.activation = spec.activation;
    return {shape, weight, bias};
}

class XnnpackNode final : public Node {
  public:
    XnnpackNode(const XnnpackNodeSpec& spec, xnnpack::Operator packed)
        : Node(spec.name, std::string(kind_name(choose_kind(spec.conv))) + " xnnpack", {spec.x}, spec.y),
          conv_(spec.conv),
          operator_(std::move(packed)) {}

    void bind(const std::vector<Tensor>& tensors) override {
        x_ = tensors[inputs().front()];
        y_ = tensors[output()];
    }

    size_t scratch_size() const override {
        return (operator_.workspace_size() + sizeof(float) - 1) / sizeof(float);
    }
    uint64_t macs() const override { return y_.pixels() * conv_.weight_count(); }
    uint64_t parameter_bytes() const override {
        return (conv_.weight_count() + conv_.out_channels) * sizeof(float);
    }

    void run(const Workers& workers) const override {
        operator_.run(x_.data, y_.data, workers.scratch, workers.pool);
    }

  private:
    ConvSpec conv_;
    xnnpack::Operator operator_;
    Tensor x_, y_;
};

}  // namespace

std::unique_ptr<Node> make_xnnpack_node(const XnnpackNodeSpec& spec, const float* weight, const float* bias) {
    return std::make_unique<XnnpackNode>(spec, make_operator(spec, weight, bias));
}

}  // namespace mobileinst
