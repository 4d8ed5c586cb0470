#include "plan/inverted_residual_node.h"

#include <utility>

#include "kernels/inverted_residual/inverted_residual.h"

namespace mobileinst {
namespace {

std::vector<TensorId> inputs_of(const InvertedResidualSpec& spec) {
    std::vector<TensorId> inputs = {spec.x};
    if (spec.residual) {
        inputs.push_back(*spec.residual);
    }
    return inputs;
}

class InvertedResidualNode final : public Node, public RowWise {
  public:
    explicit InvertedResidualNode(InvertedResidualSpec spec)
        : Node(spec.name, "inverted residual", inputs_of(spec), spec.y),
          spec_(std::move(spec)),
          kernels_(inverted_residual_kernels(spec_.project->tier())) {}

    void bind(const std::vector<Tensor>& tensors) override {
        const Tensor &x = tensors[spec_.x], &y = tensors[spec_.y];
        const ConvWeights &depthwise = *spec_.depthwise, &project = *spec_.project;
        args_.input = x.data;
        args_.input_ld = x.ld;
        args_.output = y.data;
        args_.output_ld = y.ld;
        args_.height = x.height;
        args_.width = x.width;
        args_.in_channels = x.channels;
        args_.hidden = depthwise.spec().in_channels;
        args_.out_channels = y.channels;
        args_.kernel = depthwise.spec().kernel;
        args_.stride = depthwise.spec().stride;
        if (spec_.expand != nullptr) {
            args_.expand = spec_.expand->packed();
            args_.expand_bias = spec_.expand->bias();
        }
        args_.depthwise = depthwise.packed();
        args_.depthwise_bias = depthwise.bias();
        args_.project = project.packed();
        args_.activation = spec_.activation;
        args_.epilogue.bias = project.bias();
        if (spec_.residual) {
            args_.epilogue.residual = tensors[*spec_.residual].data;
            args_.epilogue.residual_ld = tensors[*spec_.residual].ld;
        }
    }

    size_t scratch_size() const override { return kernels_.scratch_size(args_); }

    uint64_t macs() const override {
        const uint64_t in = args_.height * args_.width, out = args_.out_height() * args_.out_width();
        return in * count(spec_.expand) + out * (count(spec_.depthwise) + count(spec_.project));
    }
    uint64_t parameter_bytes() const override {
        return (count(spec_.expand) + count(spec_.depthwise) + count(spec_.project)) * sizeof(float);
    }

    void run(const Workers& workers) const override {
        workers.pool.run(args_.out_height(), 1, workers.chunks_of_rows(macs(), args_.out_height()),
                         [&](size_t begin, size_t end, size_t thread) {
                             kernels_.run(args_, begin, end, workers.scratch_of(thread));
                         });
    }

    const RowWise* row_wise() const override { return this; }
    bool reads_ring() const override {
        return kernels_.runs_on(args_) && spec_.residual.value_or(spec_.x) == spec_.x;
    }
    bool writes_ring() const override { return reads_ring(); }
    size_t window() const override { return args_.kernel; }
    size_t row_stride() const override { return args_.stride; }

    void run_row(size_t row, const Rows& input, const Rows& output, float* scratch,
                 bool resumes) const override {
        InvertedResidualArgs args = args_;
        args.input = input.data;
        args.input_ring = input.ring;
        args.output = output.data;
        args.output_ring = output.ring;
        args.epilogue.residual = spec_.residual ? input.data : nullptr;
        args.resumes = resumes;
        kernels_.run(args, row, row + 1, scratch);
    }

  private:
    static uint64_t count(const std::shared_ptr<const ConvWeights>& weights) {
        return weights == nullptr ? 0 : weights->spec().weight_count();
    }

    InvertedResidualSpec spec_;
    const InvertedResidualKernels& kernels_;
    InvertedResidualArgs args_;
};

}  // namespace

std::unique_ptr<Node> make_inverted_residual_node(InvertedResidualSpec spec) {
    return std::make_unique<InvertedResidualNode>(std::move(spec));
}

}  // namespace mobileinst
