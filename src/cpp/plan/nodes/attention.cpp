#include "kernels/attention/attention.h"

#include "plan/nodes.h"

namespace mobileinst {
namespace {

class AttentionNode final : public Node {
  public:
    AttentionNode(NodeSpec& spec, const std::vector<Tensor>& tensors)
        : Node(spec, spec.op, 3, 3), kernels_(attention_kernels(spec.tier)) {
        const auto heads = spec.take<int64_t>("heads");
        args_.heads = static_cast<size_t>(heads);
        args_.scale = static_cast<float>(spec.take<double>("scale"));
        args_.activation = spec.activation;
        const Tensor &q = tensors[inputs()[0]], &k = tensors[inputs()[1]], &v = tensors[inputs()[2]];
        const Tensor& y = tensors[output()];
        expect(heads > 0 && q.channels % args_.heads == 0 && v.channels % args_.heads == 0,
               "heads that divide the channels", {q, v});
        expect(q.channels == k.channels && k.pixels() == v.pixels() && q.pixels() == y.pixels() &&
                   y.channels == v.channels,
               "fitting query, key, value and output", {q, k, v, y});
    }

    void bind(const std::vector<Tensor>& tensors) override {
        const Tensor &q = tensors[inputs()[0]], &k = tensors[inputs()[1]], &v = tensors[inputs()[2]];
        const Tensor& y = tensors[output()];
        args_.query = q.data;
        args_.query_ld = q.ld;
        args_.key = k.data;
        args_.key_ld = k.ld;
        args_.value = v.data;
        args_.value_ld = v.ld;
        args_.output = y.data;
        args_.output_ld = y.ld;
        args_.queries = q.pixels();
        args_.keys = k.pixels();
        args_.key_dim = q.channels / args_.heads;
        args_.value_dim = v.channels / args_.heads;
    }

    size_t scratch_size() const override { return kernels_.scratch_size(args_); }
    uint64_t macs() const override {
        return uint64_t{args_.queries} * args_.keys * args_.heads * (args_.key_dim + args_.value_dim);
    }

    void run(const Workers& workers) const override {
        workers.pool.run(args_.heads, 1, workers.chunks(macs(), 2),
                         [&](size_t begin, size_t end, size_t thread) {
                             kernels_.run(args_, begin, end, workers.scratch_of(thread));
                         });
    }

  private:
    const AttentionKernels& kernels_;
    AttentionArgs args_;
};

}  // namespace

std::unique_ptr<Node> make_attention_node(NodeSpec& spec, const std::vector<Tensor>& tensors) {
    return std::make_unique<AttentionNode>(spec, tensors);
}

}  // namespace mobileinst
