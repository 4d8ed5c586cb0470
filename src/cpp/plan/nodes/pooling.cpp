#include "kernels/pooling/pooling.h"

#include "kernels/kernel_table.h"
#include "plan/nodes.h"

namespace mobileinst {
namespace {

/// Pooling of x to the size of y, adaptive or, for "window_max", of a window around each pixel.
class PoolNode final : public Node {
  public:
    PoolNode(NodeSpec& spec, const std::vector<Tensor>& tensors)
        : Node(spec, spec.op, 1, 1),
          run_(spec.op == "average_pool" ? kernels_of(spec.tier, &KernelTable::pool, spec.dtype).average
                                         : kernels_of(spec.tier, &KernelTable::pool, spec.dtype).maximum) {
        const Tensor &x = tensors[inputs()[0]], &y = tensors[output()];
        expect(x.channels == y.channels, "as many channels out as in", {x, y});
        expect(run_ != nullptr, "a type that this pooling knows", {x});
        if (spec.op == "window_max") {
            args_.window = static_cast<size_t>(spec.take<int64_t>("window"));
            expect(args_.window % 2 == 1 && same_shape(x, y),
                   "an odd window, and an output of the input's shape", {x, y});
        }
    }

    void bind(const std::vector<Tensor>& tensors) override {
        args_.input = tensors[inputs()[0]];
        args_.output = tensors[output()];
    }

    void run(const Workers& workers) const override {
        workers.pool.run(args_.output.pixels(), 1, workers.chunks(traffic(args_.input), 2),
                         [&](size_t begin, size_t end, size_t) { run_(args_, begin, end); });
    }

  private:
    void (*run_)(const PoolArgs& args, size_t begin, size_t end);
    PoolArgs args_;
};

}  // namespace

std::unique_ptr<Node> make_pool_node(NodeSpec& spec, const std::vector<Tensor>& tensors) {
    return std::make_unique<PoolNode>(spec, tensors);
}

}  // namespace mobileinst
