#include "kernels/attention/attention.h"

#include "kernels/kernel_table.h"
#include "plan/nodes.h"

namespace mobileinst {
namespace {

class AttentionNode final : public Node {
  public:
    AttentionNode(NodeSpec& spec, const std::vector<Tensor>& tensors)
        : Node(spec, spec.op, 3, 3), kernels_(kernels_of(spec.tier, &KernelTable::attention, spec.dtype)) {
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
        args_.query = tensors[inputs()[0]];
        args_.key = tensors[inputs()[1]];
        args_.value = tensors[inputs()[2]];
        args_.output = tensors[output()];
    }

    size_t scratch_size() const override { return kernels_.scratch_size(args_); }
    uint64_t macs() const override {
        const uint64_t scores = args_.query.pixels() * args_.key.pixels();
        return scores * (args_.key.channels + args_.value.channels);
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
