#include "kernels/elementwise/elementwise.h"

#include <algorithm>
#include <iterator>

#include "kernels/kernel_table.h"
#include "plan/nodes.h"

namespace mobileinst {
namespace {

/// An operation's name in specs, and its operands.
struct Known {
    const char* name;
    ElementwiseOp op;
    size_t operands;
};

constexpr Known kKnown[] = {
    {"copy", ElementwiseOp::Copy, 1},
    {"add", ElementwiseOp::Add, 2},
    {"multiply", ElementwiseOp::Multiply, 2},
    {"multiply_add", ElementwiseOp::MultiplyAdd, 3},
};

const Known& known_of(const NodeSpec& spec) {
    return *std::find_if(std::begin(kKnown), std::end(kKnown) - 1,
                         [&](const Known& known) { return spec.op == known.name; });
}

class ElementwiseNode final : public Node {
  public:
    ElementwiseNode(NodeSpec& spec, const std::vector<Tensor>& tensors)
        : Node(spec, spec.op, known_of(spec).operands, known_of(spec).operands),
          kernels_(kernels_of(spec.tier, &KernelTable::elementwise, spec.dtype)) {
        args_.op = known_of(spec).op;
        args_.activation = spec.activation;
        for (const TensorId input : inputs()) {
            expect(same_shape(tensors[input], tensors[output()]), "operands of the output's shape",
                   {tensors[input], tensors[output()]});
        }
    }

    bool in_place(TensorId /*input*/) const override { return true; }

    void bind(const std::vector<Tensor>& tensors) override {
        const auto operand = [&](size_t i) { return i < inputs().size() ? tensors[inputs()[i]] : Tensor{}; };
        args_.a = operand(0);
        args_.b = operand(1);
        args_.c = operand(2);
        args_.output = tensors[output()];
    }

    void run(const Workers& workers) const override {
        workers.pool.run(args_.output.pixels(), 1, workers.chunks(traffic(args_.output), 1),
                         [&](size_t begin, size_t end, size_t) { kernels_.run(args_, begin, end); });
    }

  private:
    const ElementwiseKernels& kernels_;
    ElementwiseArgs args_;
};

}  // namespace

std::unique_ptr<Node> make_elementwise_node(NodeSpec& spec, const std::vector<Tensor>& tensors) {
    return std::make_unique<ElementwiseNode>(spec, tensors);
}

}  // namespace mobileinst
