#include "kernels/inverted_residual/inverted_residual.h"

#include "kernels/kernel_table.h"
#include "plan/nodes.h"

namespace mobileinst {
namespace {

using Weights = std::shared_ptr<const ConvWeights>;

/// Expansion (or none), depthwise convolution and projection of x in one pass. The activation comes after the
/// first two; the projection has none, and a residual perhaps, the second input.
class InvertedResidualNode final : public Node, public RowWise {
  public:
    InvertedResidualNode(NodeSpec& spec, const std::vector<Tensor>& tensors)
        : Node(spec, spec.op, 1, 2),
          expand_(spec.take_optional<Weights>("expand").value_or(nullptr)),
          depthwise_(spec.take<Weights>("depthwise")),
          project_(spec.take<Weights>("project")),
          kernels_(kernels_of(spec.tier, &KernelTable::inverted_residual, spec.dtype)) {
        args_.activation = spec.activation;
        for (const Weights& weights : {expand_, depthwise_, project_}) {
            expect(weights == nullptr || weights->tier() == spec.tier, "weights packed for the plan's tier",
                   {});
        }
        check(tensors[inputs()[0]], tensors[output()]);
        if (has_residual()) {
            expect(same_shape(tensors[inputs()[1]], tensors[output()]), "residual of the output's shape",
                   {tensors[inputs()[1]], tensors[output()]});
        }
    }

    void bind(const std::vector<Tensor>& tensors) override {
        args_.input = tensors[inputs()[0]];
        args_.output = tensors[output()];
        args_.hidden = depthwise_->spec().in_channels;
        args_.kernel = depthwise_->spec().kernel;
        args_.stride = depthwise_->spec().stride;
        if (expand_ != nullptr) {
            args_.expand = expand_->packed();
            args_.expand_bias = expand_->bias();
        }
        args_.depthwise = depthwise_->packed();
        args_.depthwise_bias = depthwise_->bias();
        args_.project = project_->packed();
        args_.epilogue.bias = project_->bias();
        if (has_residual()) {
            args_.epilogue.residual = tensors[inputs()[1]];
        }
    }

    size_t scratch_size() const override { return kernels_.scratch_size(args_); }

    uint64_t macs() const override {
        const uint64_t in = args_.input.pixels(), out = args_.output.pixels();
        return in * count(expand_) + out * (count(depthwise_) + count(project_));
    }
    uint64_t parameter_bytes() const override {
        return (count(expand_) + count(depthwise_) + count(project_)) * size_of(args_.input.dtype);
    }

    void run(const Workers& workers) const override {
        workers.pool.run(args_.output.height, 1, workers.chunks_of_rows(macs(), args_.output.height),
                         [&](size_t begin, size_t end, size_t thread) {
                             kernels_.run(args_, begin, end, workers.scratch_of(thread));
                         });
    }

    const RowWise* row_wise() const override { return this; }
    bool reads_ring() const override {
        return kernels_.runs_on(args_) && (!has_residual() || inputs()[1] == inputs()[0]);
    }
    bool writes_ring() const override { return reads_ring(); }
    size_t window() const override { return args_.kernel; }
    size_t row_stride() const override { return args_.stride; }

    void run_row(size_t row, const Rows& input, const Rows& output, void* scratch,
                 bool resumes) const override {
        InvertedResidualArgs args = args_;
        args.input.data = input.data;
        args.input_ring = input.ring;
        args.output.data = output.data;
        args.output_ring = output.ring;
        args.epilogue.residual.data = has_residual() ? input.data : nullptr;
        args.resumes = resumes;
        kernels_.run(args, row, row + 1, scratch);
    }

  private:
    bool has_residual() const { return inputs().size() > 1; }

    void check(const Tensor& x, const Tensor& y) const {
        expect(depthwise_->kind() == ConvKind::Depthwise && project_->kind() == ConvKind::Gemm &&
                   (expand_ == nullptr || expand_->kind() == ConvKind::Gemm),
               "1x1, depthwise and 1x1 weights", {});
        const ConvSpec &filter = depthwise_->spec(), &last = project_->spec();
        expect((filter.kernel == 3 || filter.kernel == 5) && filter.stride <= 2,
               "a depthwise kernel of 3 or 5 and a stride of 1 or 2", {});
        const ConvSpec& first = expand_ == nullptr ? filter : expand_->spec();
        expect(x.channels == first.in_channels && filter.in_channels == first.out_channels &&
                   last.in_channels == filter.out_channels && y.channels == last.out_channels &&
                   y.height == filter.strided(x.height) && y.width == filter.strided(x.width),
               "inverted residual of input into output", {x, y});
    }

    static uint64_t count(const Weights& weights) {
        return weights == nullptr ? 0 : weights->spec().weight_count();
    }

    Weights expand_, depthwise_, project_;
    const InvertedResidualKernels& kernels_;
    InvertedResidualArgs args_;
};

}  // namespace

std::unique_ptr<Node> make_inverted_residual_node(NodeSpec& spec, const std::vector<Tensor>& tensors) {
    return std::make_unique<InvertedResidualNode>(spec, tensors);
}

}  // namespace mobileinst
