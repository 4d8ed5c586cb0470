#include "kernels/convert/convert.h"

#include "plan/nodes.h"

namespace mobileinst {
namespace {

/// The same values in the type and quantisation of the output.
class ConvertNode final : public Node {
  public:
    ConvertNode(NodeSpec& spec, const std::vector<Tensor>& tensors)
        : Node(spec, spec.op, 1, 1),
          run_(convert_kernel(spec.tier, tensors[inputs()[0]].dtype, tensors[output()].dtype)) {
        const Tensor &x = tensors[inputs()[0]], &y = tensors[output()];
        expect(same_shape(x, y), "an output of the input's shape", {x, y});
        spec.expect(spec.activation == Activation::None, "no activation");
    }

    void bind(const std::vector<Tensor>& tensors) override {
        args_.input = tensors[inputs()[0]];
        args_.output = tensors[output()];
    }

    void run(const Workers& workers) const override {
        workers.pool.run(args_.output.pixels(), 1, workers.chunks(traffic(args_.output), 1),
                         [&](size_t begin, size_t end, size_t) { run_(args_, begin, end); });
    }

  private:
    ConvertRun& run_;
    ConvertArgs args_;
};

}  // namespace

std::unique_ptr<Node> make_convert_node(NodeSpec& spec, const std::vector<Tensor>& tensors) {
    return std::make_unique<ConvertNode>(spec, tensors);
}

}  // namespace mobileinst
