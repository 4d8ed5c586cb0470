#include "kernels/layer_norm/layer_norm.h"

#include "kernels/kernel_table.h"
#include "plan/nodes.h"

namespace mobileinst {
namespace {

class LayerNormNode final : public Node {
  public:
    LayerNormNode(NodeSpec& spec, const std::vector<Tensor>& tensors)
        : Node(spec, spec.op, 1, 1),
          kernels_(kernels_of(spec.tier, &KernelTable::layer_norm, spec.dtype)),
          weight_(spec.take<FloatArrayAttribute>("weight").values),
          bias_(spec.take<FloatArrayAttribute>("bias").values) {
        args_.eps = static_cast<float>(spec.take<double>("eps"));
        const Tensor &x = tensors[inputs()[0]], &y = tensors[output()];
        expect(same_shape(x, y), "an output of the input's shape", {x, y});
        const size_t bytes = x.channels * sizeof(float);
        expect(weight_.size() == bytes && bias_.size() == bytes, "a weight and a bias for each channel", {x});
    }

    bool in_place(TensorId /*input*/) const override { return true; }

    void bind(const std::vector<Tensor>& tensors) override {
        args_.input = tensors[inputs()[0]];
        args_.weight = weight_.floats();
        args_.bias = bias_.floats();
        args_.output = tensors[output()];
    }

    uint64_t parameter_bytes() const override { return 2 * args_.input.channels * sizeof(float); }

    void run(const Workers& workers) const override {
        workers.pool.run(args_.output.pixels(), 1, workers.chunks(traffic(args_.output), 1),
                         [&](size_t begin, size_t end, size_t) { kernels_.run(args_, begin, end); });
    }

  private:
    const LayerNormKernels& kernels_;
    AlignedBuffer weight_, bias_;
    LayerNormArgs args_;
};

}  // namespace

std::unique_ptr<Node> make_layer_norm_node(NodeSpec& spec, const std::vector<Tensor>& tensors) {
    return std::make_unique<LayerNormNode>(spec, tensors);
}

}  // namespace mobileinst
