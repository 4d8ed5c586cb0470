#include "plan/xnnpack_node.h"

#include <optional>
#include <utility>

#include "xnnpack/operators.h"

namespace mobileinst {
namespace {

class XnnpackNode final : public Node {
  public:
    explicit XnnpackNode(ConvNodeSpec spec)
        : Node(spec.name, std::string(kind_name(spec.weights->kind())) + " xnnpack", {spec.x}, spec.y),
          spec_(std::move(spec)) {}

    void bind(const std::vector<Tensor>& tensors) override {
        x_ = tensors[spec_.x];
        y_ = tensors[spec_.y];
        xnnpack::Convolution shape;
        shape.height = x_.height;
        shape.width = x_.width;
        shape.in_channels = conv().in_channels;
        shape.out_channels = conv().out_channels;
        shape.kernel = conv().kernel;
        shape.stride = conv().stride;
        shape.groups = conv().groups;
        shape.in_ld = x_.ld;
        shape.out_ld = y_.ld;
        shape.activation = spec_.activation;
        operator_.emplace(shape, spec_.weights->raw(), spec_.weights->bias());
    }

    size_t scratch_size() const override {
        return (operator_->workspace_size() + sizeof(float) - 1) / sizeof(float);
    }
    uint64_t macs() const override { return y_.pixels() * conv().weight_count(); }
    uint64_t parameter_bytes() const override {
        return (conv().weight_count() + conv().out_channels) * sizeof(float);
    }

    void run(const Workers& workers) const override {
        operator_->run(x_.data, y_.data, workers.scratch, workers.pool);
    }

  private:
    const ConvSpec& conv() const { return spec_.weights->spec(); }

    ConvNodeSpec spec_;
    Tensor x_, y_;
    std::optional<xnnpack::Operator> operator_;
};

}  // namespace

bool xnnpack_takes(const ConvNodeSpec& spec) {
    return spec.weights->raw() != nullptr && !spec.residual && xnnpack::supports(spec.activation);
}

std::unique_ptr<Node> make_xnnpack_node(ConvNodeSpec spec) {
    return std::make_unique<XnnpackNode>(std::move(spec));
}

}  // namespace mobileinst
