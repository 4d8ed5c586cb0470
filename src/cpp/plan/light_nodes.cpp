#include "plan/light_nodes.h"

#include <utility>

#include "kernels/attention/attention.h"
#include "kernels/layer_norm/layer_norm.h"
#include "kernels/pooling/pooling.h"
#include "kernels/resize/resize.h"

namespace mobileinst {
namespace {

/// Memory traffic counted as multiply-adds, to judge whether work is worth splitting.
uint64_t work_of(const Tensor& tensor) { return uint64_t{tensor.pixels()} * tensor.channels * 4; }

std::vector<TensorId> present(TensorId first, std::initializer_list<std::optional<TensorId>> others) {
    std::vector<TensorId> ids = {first};
    for (const auto& other : others) {
        if (other) {
            ids.push_back(*other);
        }
    }
    return ids;
}

const char* op_name(ElementwiseOp op) {
    switch (op) {
        case ElementwiseOp::Copy:
            return "copy";
        case ElementwiseOp::Add:
            return "add";
        case ElementwiseOp::Multiply:
            return "multiply";
        case ElementwiseOp::MultiplyAdd:
            return "multiply-add";
    }
    return "unknown";
}

class ElementwiseNode final : public Node {
  public:
    ElementwiseNode(std::string name, Tier tier, ElementwiseOp op, TensorId a, std::optional<TensorId> b,
                    std::optional<TensorId> c, TensorId y, Activation activation)
        : Node(std::move(name), op_name(op), present(a, {b, c}), y),
          kernels_(elementwise_kernels(tier)),
          a_(a),
          b_(b.value_or(a)),
          c_(c.value_or(a)) {
        args_.op = op;
        args_.activation = activation;
    }

    bool in_place(TensorId /*input*/) const override { return true; }

    void bind(const std::vector<Tensor>& tensors) override {
        y_ = tensors[output()];
        args_.a = tensors[a_].data;
        args_.a_ld = tensors[a_].ld;
        args_.b = tensors[b_].data;
        args_.b_ld = tensors[b_].ld;
        args_.c = tensors[c_].data;
        args_.c_ld = tensors[c_].ld;
        args_.output = y_.data;
        args_.output_ld = y_.ld;
        args_.pixels = y_.pixels();
        args_.channels = y_.channels;
    }

    void run(const Workers& workers) const override {
        workers.pool.run(args_.pixels, 1, workers.chunks(work_of(y_), 1),
                         [&](size_t begin, size_t end, size_t) { kernels_.run(args_, begin, end); });
    }

  private:
    const ElementwiseKernels& kernels_;
    TensorId a_, b_, c_;
    Tensor y_;
    ElementwiseArgs args_;
};

class ResizeNode final : public Node {
  public:
    ResizeNode(std::string name, Tier tier, TensorId x, std::optional<TensorId> local,
               std::optional<TensorId> shift, TensorId y, Activation activation)
        : Node(std::move(name),
               shift   ? "resize-multiply-add"
               : local ? "resize-add"
                       : "resize",
               present(x, {local, shift}), y),
          kernels_(resize_kernels(tier)),
          x_(x),
          local_(local),
          shift_(shift) {
        args_.activation = activation;
    }

    bool in_place(TensorId input) const override { return input == local_ && input != x_ && input != shift_; }

    void bind(const std::vector<Tensor>& tensors) override {
        const Tensor& x = tensors[x_];
        y_ = tensors[output()];
        args_.input = x.data;
        args_.input_ld = x.ld;
        if (local_) {
            args_.local = tensors[*local_].data;
            args_.local_ld = tensors[*local_].ld;
        }
        if (shift_) {
            args_.shift = tensors[*shift_].data;
            args_.shift_ld = tensors[*shift_].ld;
        }
        args_.output = y_.data;
        args_.output_ld = y_.ld;
        args_.height = x.height;
        args_.width = x.width;
        args_.out_height = y_.height;
        args_.out_width = y_.width;
        args_.channels = y_.channels;
    }

    void run(const Workers& workers) const override {
        workers.pool.run(y_.height, 1, workers.chunks(work_of(y_), 1),
                         [&](size_t begin, size_t end, size_t) { kernels_.run(args_, begin, end); });
    }

  private:
    const ResizeKernels& kernels_;
    TensorId x_;
    std::optional<TensorId> local_, shift_;
    Tensor y_;
    ResizeArgs args_;
};

class PoolNode final : public Node {
  public:
    PoolNode(std::string name, Tier tier, bool average, size_t window, TensorId x, TensorId y)
        : Node(std::move(name), average ? "average pool" : "max pool", {x}, y),
          run_(average ? pool_kernels(tier).average : pool_kernels(tier).maximum) {
        args_.window = window;
    }

    void bind(const std::vector<Tensor>& tensors) override {
        x_ = tensors[inputs()[0]];
        const Tensor& y = tensors[output()];
        args_.input = x_.data;
        args_.input_ld = x_.ld;
        args_.output = y.data;
        args_.output_ld = y.ld;
        args_.height = x_.height;
        args_.width = x_.width;
        args_.out_height = y.height;
        args_.out_width = y.width;
        args_.channels = y.channels;
    }

    void run(const Workers& workers) const override {
        workers.pool.run(args_.out_height * args_.out_width, 1, workers.chunks(work_of(x_), 2),
                         [&](size_t begin, size_t end, size_t) { run_(args_, begin, end); });
    }

  private:
    void (*run_)(const PoolArgs& args, size_t begin, size_t end);
    Tensor x_;
    PoolArgs args_;
};

class LayerNormNode final : public Node {
  public:
    LayerNormNode(std::string name, Tier tier, TensorId x, AlignedBuffer weight, AlignedBuffer bias,
                  float eps, TensorId y)
        : Node(std::move(name), "layer norm", {x}, y),
          kernels_(layer_norm_kernels(tier)),
          weight_(std::move(weight)),
          bias_(std::move(bias)) {
        args_.eps = eps;
    }

    bool in_place(TensorId /*input*/) const override { return true; }

    void bind(const std::vector<Tensor>& tensors) override {
        const Tensor& x = tensors[inputs()[0]];
        y_ = tensors[output()];
        args_.input = x.data;
        args_.input_ld = x.ld;
        args_.weight = weight_.data();
        args_.bias = bias_.data();
        args_.output = y_.data;
        args_.output_ld = y_.ld;
        args_.rows = y_.pixels();
        args_.channels = y_.channels;
    }

    uint64_t parameter_bytes() const override { return 2 * args_.channels * sizeof(float); }

    void run(const Workers& workers) const override {
        workers.pool.run(args_.rows, 1, workers.chunks(work_of(y_), 1),
                         [&](size_t begin, size_t end, size_t) { kernels_.run(args_, begin, end); });
    }

  private:
    const LayerNormKernels& kernels_;
    AlignedBuffer weight_, bias_;
    Tensor y_;
    LayerNormArgs args_;
};

class AttentionNode final : public Node {
  public:
    AttentionNode(std::string name, Tier tier, TensorId q, TensorId k, TensorId v, size_t heads, float scale,
                  Activation activation, TensorId y)
        : Node(std::move(name), "attention", {q, k, v}, y), kernels_(attention_kernels(tier)) {
        args_.heads = heads;
        args_.scale = scale;
        args_.activation = activation;
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

std::unique_ptr<Node> make_elementwise_node(std::string name, Tier tier, ElementwiseOp op, TensorId a,
                                            std::optional<TensorId> b, std::optional<TensorId> c, TensorId y,
                                            Activation activation) {
    return std::make_unique<ElementwiseNode>(std::move(name), tier, op, a, b, c, y, activation);
}

std::unique_ptr<Node> make_resize_node(std::string name, Tier tier, TensorId x, std::optional<TensorId> local,
                                       std::optional<TensorId> shift, TensorId y, Activation activation) {
    return std::make_unique<ResizeNode>(std::move(name), tier, x, local, shift, y, activation);
}

std::unique_ptr<Node> make_pool_node(std::string name, Tier tier, bool average, size_t window, TensorId x,
                                     TensorId y) {
    return std::make_unique<PoolNode>(std::move(name), tier, average, window, x, y);
}

std::unique_ptr<Node> make_layer_norm_node(std::string name, Tier tier, TensorId x, AlignedBuffer weight,
                                           AlignedBuffer bias, float eps, TensorId y) {
    return std::make_unique<LayerNormNode>(std::move(name), tier, x, std::move(weight), std::move(bias), eps,
                                           y);
}

std::unique_ptr<Node> make_attention_node(std::string name, Tier tier, TensorId q, TensorId k, TensorId v,
                                          size_t heads, float scale, Activation activation, TensorId y) {
    return std::make_unique<AttentionNode>(std::move(name), tier, q, k, v, heads, scale, activation, y);
}

}  // namespace mobileinst
