#include "kernels/resize/resize.h"

#include <algorithm>

#include "kernels/kernel_table.h"
#include "plan/nodes.h"

namespace mobileinst {
namespace {

/// By the number of inputs: x, then a local map that x is added to, then a shift, with which x is a factor.
constexpr const char* kNames[] = {"resize", "resize", "resize_add", "resize_multiply_add"};

class ResizeNode final : public Node {
  public:
    ResizeNode(NodeSpec& spec, const std::vector<Tensor>& tensors)
        : Node(spec, kNames[std::min<size_t>(spec.inputs.size(), 3)], 1, 3),
          kernels_(kernels_of(spec.tier, &KernelTable::resize, spec.dtype)) {
        args_.activation = spec.activation;
        const Tensor &x = tensors[inputs()[0]], &y = tensors[output()];
        expect(x.channels == y.channels, "as many channels out as in", {x, y});
        if (has_local()) {
            const Tensor& local = tensors[inputs()[1]];
            expect(same_shape(local, y), "a local map of the output's shape", {local, y});
        }
        if (spec.dtype == DType::Int8) {
            expect(!has_shift() && only_limits(spec.activation), "no shift, and limits at most, of integers",
                   {x, y});
        }
        if (has_shift()) {
            const Tensor& shift = tensors[inputs()[2]];
            expect(same_shape(shift, x), "a shift of the input's shape", {shift, x});
        }
    }

    bool in_place(TensorId input) const override {
        return has_local() && input == inputs()[1] && input != inputs()[0] &&
               !(has_shift() && input == inputs()[2]);
    }

    void bind(const std::vector<Tensor>& tensors) override {
        args_.input = tensors[inputs()[0]];
        args_.local = has_local() ? tensors[inputs()[1]] : Tensor{};
        args_.shift = has_shift() ? tensors[inputs()[2]] : Tensor{};
        args_.output = tensors[output()];
    }

    void run(const Workers& workers) const override {
        workers.pool.run(args_.output.height, 1, workers.chunks(traffic(args_.output), 1),
                         [&](size_t begin, size_t end, size_t) { kernels_.run(args_, begin, end); });
    }

  private:
    bool has_local() const { return inputs().size() > 1; }
    bool has_shift() const { return inputs().size() > 2; }

    const ResizeKernels& kernels_;
    ResizeArgs args_;
};

}  // namespace

std::unique_ptr<Node> make_resize_node(NodeSpec& spec, const std::vector<Tensor>& tensors) {
    return std::make_unique<ResizeNode>(spec, tensors);
}

}  // namespace mobileinst
