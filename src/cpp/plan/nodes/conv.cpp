#include <stdexcept>
#include <utility>

#include "kernels/conv3x3/conv3x3.h"
#include "kernels/conv_direct/conv_direct.h"
#include "kernels/depthwise/depthwise.h"
#include "kernels/gemm/gemm.h"
#include "plan/nodes.h"

namespace mobileinst {
namespace {

using Weights = std::shared_ptr<const ConvWeights>;

/// A convolution or linear layer with its activation, then the residual added, which is the second input.
/// What the four kinds share: the memory of input, output and epilogue.
class ConvNode : public Node {
  public:
    ConvNode(NodeSpec& spec, const std::vector<Tensor>& tensors, Weights weights)
        : Node(spec, kind_name(weights->kind()), 1, 2), weights_(std::move(weights)) {
        epilogue_.activation = spec.activation;
        const Tensor &x = tensors[inputs()[0]], &y = tensors[output()];
        expect(conv().maps(x, y), "convolution of input into output", {x, y});
        if (has_residual()) {
            const Tensor& residual = tensors[inputs()[1]];
            expect(same_shape(residual, y), "residual of the output's shape", {residual, y});
        }
        expect(weights_->tier() == spec.tier, "weights packed for the plan's tier", {});
    }

    bool in_place(TensorId input) const override {
        return has_residual() && inputs()[1] == input && inputs()[0] != input;
    }

    void bind(const std::vector<Tensor>& tensors) final {
        x_ = tensors[inputs()[0]];
        y_ = tensors[output()];
        epilogue_.bias = weights().bias();
        if (has_residual()) {
            epilogue_.residual = tensors[inputs()[1]].data;
            epilogue_.residual_ld = tensors[inputs()[1]].ld;
        }
        bind_args();
    }

    uint64_t macs() const override { return y_.pixels() * conv().weight_count(); }
    uint64_t parameter_bytes() const override {
        return (conv().weight_count() + conv().out_channels) * sizeof(float);
    }

  protected:
    virtual void bind_args() = 0;

    const ConvWeights& weights() const { return *weights_; }
    const ConvSpec& conv() const { return weights_->spec(); }
    bool has_residual() const { return inputs().size() > 1; }

    /// What convolutions of maps have in common.
    template <typename Args>
    void bind_maps(Args& args) const {
        args.input = x_.data;
        args.input_ld = x_.ld;
        args.packed = weights().packed();
        args.output = y_.data;
        args.output_ld = y_.ld;
        args.height = x_.height;
        args.width = x_.width;
        args.epilogue = epilogue_;
    }

    Tensor x_, y_;
    Epilogue epilogue_;

  private:
    Weights weights_;
};

class GemmNode final : public ConvNode {
  public:
    using ConvNode::ConvNode;

    void run(const Workers& workers) const override {
        workers.pool.run(args_.m, kernels_->row_tile, workers.chunks(macs(), 2),
                         [&](size_t begin, size_t end, size_t) { kernels_->run(args_, begin, end); });
    }

  protected:
    void bind_args() override {
        kernels_ = &gemm_kernels(weights().tier());
        args_.a = x_.data;
        args_.lda = x_.ld;
        args_.packed = weights().packed();
        args_.c = y_.data;
        args_.ldc = y_.ld;
        args_.m = y_.pixels();
        args_.n = conv().out_channels;
        args_.k = conv().in_channels;
        args_.epilogue = epilogue_;
    }

  private:
    const GemmKernels* kernels_ = nullptr;
    GemmArgs args_;
};

class Conv3x3Node final : public ConvNode {
  public:
    using ConvNode::ConvNode;

    size_t scratch_size() const override {
        return kernels_->scratch_size(conv().in_channels, conv().out_channels);
    }

    void run(const Workers& workers) const override {
        workers.pool.run(kernels_->units(args_), 1, workers.chunks(macs(), 1),
                         [&](size_t begin, size_t end, size_t thread) {
                             kernels_->run(args_, begin, end, workers.scratch_of(thread));
                         });
    }

  protected:
    void bind_args() override {
        kernels_ = &conv3x3_kernels(weights().tier(), weights().winograd());
        bind_maps(args_);
        args_.in_channels = conv().in_channels;
        args_.out_channels = conv().out_channels;
    }

  private:
    const Conv3x3Kernels* kernels_ = nullptr;
    Conv3x3Args args_;
};

class DepthwiseNode final : public ConvNode {
  public:
    using ConvNode::ConvNode;

    void run(const Workers& workers) const override {
        workers.pool.run(y_.height, 1, workers.chunks(macs() * 4, 2),
                         [&](size_t begin, size_t end, size_t) { kernels_->run(args_, begin, end); });
    }

  protected:
    void bind_args() override {
        kernels_ = &depthwise_kernels(weights().tier());
        bind_maps(args_);
        args_.channels = conv().in_channels;
        args_.kernel = conv().kernel;
        args_.stride = conv().stride;
    }

  private:
    const DepthwiseKernels* kernels_ = nullptr;
    DepthwiseArgs args_;
};

class ConvDirectNode final : public ConvNode, public RowWise {
  public:
    using ConvNode::ConvNode;

    const RowWise* row_wise() const override { return this; }
    bool reads_ring() const override { return false; }
    bool writes_ring() const override { return weights().tier() != Tier::Ref && !has_residual(); }
    size_t window() const override { return args_.kernel; }
    size_t row_stride() const override { return args_.stride; }

    void run_row(size_t row, const Rows& input, const Rows& output, float* /*scratch*/,
                 bool /*resumes*/) const override {
        ConvDirectArgs args = args_;
        args.input = input.data;
        args.output = output.data;
        args.output_ring = output.ring;
        kernels_->run(args, row, row + 1);
    }

    void run(const Workers& workers) const override {
        workers.pool.run(y_.height, 1, workers.chunks(macs(), 2),
                         [&](size_t begin, size_t end, size_t) { kernels_->run(args_, begin, end); });
    }

  protected:
    void bind_args() override {
        kernels_ = &conv_direct_kernels(weights().tier());
        bind_maps(args_);
        args_.in_channels = conv().in_channels;
        args_.out_channels = conv().out_channels;
        args_.kernel = conv().kernel;
        args_.stride = conv().stride;
        args_.groups = conv().groups;
    }

  private:
    const ConvDirectKernels* kernels_ = nullptr;
    ConvDirectArgs args_;
};

}  // namespace

std::unique_ptr<Node> make_conv_node(NodeSpec& spec, const std::vector<Tensor>& tensors) {
    auto weights = spec.take<Weights>("weights");
    switch (weights->kind()) {
        case ConvKind::Gemm:
            return std::make_unique<GemmNode>(spec, tensors, std::move(weights));
        case ConvKind::Conv3x3:
            return std::make_unique<Conv3x3Node>(spec, tensors, std::move(weights));
        case ConvKind::Depthwise:
            return std::make_unique<DepthwiseNode>(spec, tensors, std::move(weights));
        case ConvKind::Direct:
            return std::make_unique<ConvDirectNode>(spec, tensors, std::move(weights));
    }
    throw std::logic_error("unknown kind of convolution");
}

}  // namespace mobileinst
