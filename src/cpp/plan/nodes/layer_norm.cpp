#include "kernels/layer_norm/layer_norm.h"

#include "plan/nodes.h"

namespace mobileinst {
namespace {

class LayerNormNode final : public Node {
  public:
    LayerNormNode(NodeSpec& spec, const std::vector<Tensor>& tensors)
        : Node(spec, spec.op, 1, 1),
          kernels_(layer_norm_kernels(spec.tier)),
          weight_(spec.take<FloatArrayAttribute>("weight").values),
          bias_(spec.take<FloatArrayAttribute>("bias").values) {
        args_.eps = static_cast<float>(spec.take<double>("eps"));
        const Tensor &x = tensors[inputs()[0]], &y = tensors[output()];
        expect(same_shape(x, y), "an output of the input's shape", {x, y});
        expect(weight_.size() == x.channels && bias_.size() == x.channels,
               "a weight and a bias for each channel", {x});
    }

    bool in_place(TensorId /*input*/) const override { return true; }

    void bind(const std::vector<Tensor>& tensors) override {
        const Tensor& x = tensors[inputs()[0]];
        y_ = tensors[output()];
        args_.input = x.data;
        args_.input_ld = x.ld;
        args_.weight = weight_.data();
        args_.bias = bias_.data();
        args_.output = y_.data;
        args_.output_ld = y_.ld;
        args_.rows = y_.pixels();
        args_.channels = y_.channels;
    }

    uint64_t parameter_bytes() const override { return 2 * args_.channels * sizeof(float); }

    void run(const Workers& workers) const override {
        workers.pool.run(args_.rows, 1, workers.chunks(traffic(y_), 1),
                         [&](size_t begin, size_t end, size_t) { kernels_.run(args_, begin, end); });
    }

  private:
    const LayerNormKernels& kernels_;
    AlignedBuffer weight_, bias_;
    Tensor y_;
    LayerNormArgs args_;
};

}  // namespace

std::unique_ptr<Node> make_layer_norm_node(NodeSpec& spec, const std::vector<Tensor>& tensors) {
    return std::make_unique<LayerNormNode>(spec, tensors);
}

}  // namespace mobileinst
