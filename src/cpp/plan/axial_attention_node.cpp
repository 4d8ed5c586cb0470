#include "plan/axial_attention_node.h"

#include <utility>

namespace mobileinst {
namespace {

class AxialAttentionNode final : public Node {
  public:
    AxialAttentionNode(std::string name, Tier tier, TensorId q, TensorId k, TensorId v, size_t heads,
                       float scale, AxialParameters rows, AxialParameters columns, TensorId y)
        : Node(std::move(name), "axial attention", {q, k, v}, y),
          tier_(tier),
          parameters_{std::move(rows), std::move(columns)} {
        args_.heads = heads;
        args_.scale = scale;
    }

    // Pixels of the value map are read for the last time just before they are written.
    bool in_place(TensorId input) const override {
        return input == inputs()[2] && input != inputs()[0] && input != inputs()[1];
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
        args_.height = v.height;
        args_.width = v.width;
        args_.key_dim = q.channels / args_.heads;
        args_.value_dim = v.channels / args_.heads;
        for (size_t axis = 0; axis < kAxes; ++axis) {
            args_.query_positions[axis] = parameters_[axis].query_positions.data();
            args_.key_positions[axis] = parameters_[axis].key_positions.data();
            args_.encode[axis] = parameters_[axis].encode->packed();
            args_.encode_bias[axis] = parameters_[axis].encode->bias();
        }
    }

    /// The first thread's scratch begins with the workspace; the others leave that part of theirs unused.
    size_t scratch_size() const override {
        return axial_workspace_size(args_) + axial_scratch_size(tier_, args_);
    }

    uint64_t macs() const override {
        const uint64_t keys = args_.key_channels(), values = args_.value_channels();
        uint64_t sum = 0;
        for (size_t axis = 0; axis < kAxes; ++axis) {
            const uint64_t length = args_.length(axis);
            sum += length * length * (keys + values) + length * values * values;
        }
        return sum;
    }

    uint64_t parameter_bytes() const override {
        const uint64_t keys = args_.key_channels(), values = args_.value_channels();
        return sizeof(float) * (2 * keys * (args_.height + args_.width) + 2 * values * (values + 1));
    }

    void run(const Workers& workers) const override {
        AxialAttentionArgs args = args_;
        args.workspace = workers.scratch_of(0);
        const size_t offset = axial_workspace_size(args);
        const size_t chunks = workers.chunks(macs(), 1);
        for (size_t step = 0; step < kAxialSteps; ++step) {
            workers.pool.run(
                axial_units(args, step), 1, chunks, [&](size_t begin, size_t end, size_t thread) {
                    axial_attention(tier_, args, step, begin, end, workers.scratch_of(thread) + offset);
                });
        }
    }

  private:
    Tier tier_;
    AxialParameters parameters_[kAxes];
    AxialAttentionArgs args_;
};

}  // namespace

std::unique_ptr<Node> make_axial_attention_node(std::string name, Tier tier, TensorId q, TensorId k,
                                                TensorId v, size_t heads, float scale, AxialParameters rows,
                                                AxialParameters columns, TensorId y) {
    return std::make_unique<AxialAttentionNode>(std::move(name), tier, q, k, v, heads, scale, std::move(rows),
                                                std::move(columns), y);
}

}  // namespace mobileinst
