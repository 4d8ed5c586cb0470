#include "kernels/axial_attention/axial_attention.h"

#include "plan/nodes.h"

namespace mobileinst {
namespace {

/// Parameters of one axis.
struct AxialParameters {
    FloatArrayAttribute query_positions, key_positions;  ///< (length, key channels)
    std::shared_ptr<const ConvWeights> encode;           ///< 1x1, value channels to value channels

    AxialParameters(NodeSpec& spec, const std::string& axis)
        : query_positions(spec.take<FloatArrayAttribute>((axis + "_query").c_str())),
          key_positions(spec.take<FloatArrayAttribute>((axis + "_key").c_str())),
          encode(spec.take<std::shared_ptr<const ConvWeights>>((axis + "_encode").c_str())) {}
};

/// relu6(v + rows + columns), see AxialAttentionArgs. Positions are as long as the sides of the maps.
class AxialAttentionNode final : public Node {
  public:
    AxialAttentionNode(NodeSpec& spec, const std::vector<Tensor>& tensors)
        : Node(spec, spec.op, 3, 3), tier_(spec.tier), parameters_{{spec, "row"}, {spec, "column"}} {
        const auto heads = spec.take<int64_t>("heads");
        args_.heads = static_cast<size_t>(heads);
        args_.scale = static_cast<float>(spec.take<double>("scale"));
        const Tensor &q = tensors[inputs()[0]], &k = tensors[inputs()[1]], &v = tensors[inputs()[2]];
        const Tensor& y = tensors[output()];
        expect(heads > 0 && k.channels % args_.heads == 0 && v.channels % args_.heads == 0,
               "heads that divide the channels", {k, v});
        expect(same_shape(q, k) && same_shape(v, y) && k.height == v.height && k.width == v.width,
               "fitting query, key, value and output", {q, k, v, y});
        check(parameters_[0], k.height, k, v);
        check(parameters_[1], k.width, k, v);
    }

    // Pixels of the value map are read for the last time just before they are written.
    bool in_place(TensorId input) const override {
        return input == inputs()[2] && input != inputs()[0] && input != inputs()[1];
    }

    void bind(const std::vector<Tensor>& tensors) override {
        args_.query = tensors[inputs()[0]];
        args_.key = tensors[inputs()[1]];
        args_.value = tensors[inputs()[2]];
        args_.output = tensors[output()];
        for (size_t axis = 0; axis < kAxes; ++axis) {
            args_.query_positions[axis] = parameters_[axis].query_positions.values.floats();
            args_.key_positions[axis] = parameters_[axis].key_positions.values.floats();
            args_.encode[axis] = parameters_[axis].encode->packed();
            args_.encode_bias[axis] = static_cast<const float*>(parameters_[axis].encode->bias());
        }
    }

    /// The first thread's scratch begins with the workspace; the others leave that part of theirs unused.
    size_t scratch_size() const override {
        return axial_workspace_size(args_) + axial_scratch_size(tier_, args_);
    }

    uint64_t macs() const override {
        const uint64_t keys = args_.key.channels, values = args_.value.channels;
        uint64_t sum = 0;
        for (size_t axis = 0; axis < kAxes; ++axis) {
            const uint64_t length = args_.length(axis);
            sum += length * length * (keys + values) + length * values * values;
        }
        return sum;
    }

    uint64_t parameter_bytes() const override {
        const uint64_t keys = args_.key.channels, values = args_.value.channels;
        return sizeof(float) *
               (2 * keys * (args_.value.height + args_.value.width) + 2 * values * (values + 1));
    }

    void run(const Workers& workers) const override {
        AxialAttentionArgs args = args_;
        args.workspace = workers.scratch_of(0);
        const size_t offset = axial_workspace_size(args);
        const size_t chunks = workers.chunks(macs(), 1);
        for (size_t step = 0; step < kAxialSteps; ++step) {
            workers.pool.run(axial_units(args, step), 1, chunks,
                             [&](size_t begin, size_t end, size_t thread) {
                                 axial_attention(tier_, args, step, begin, end,
                                                 static_cast<char*>(workers.scratch_of(thread)) + offset);
                             });
        }
    }

  private:
    void check(const AxialParameters& axis, size_t length, const Tensor& k, const Tensor& v) const {
        const std::vector<size_t> positions = {length, k.channels};
        expect(axis.query_positions.shape == positions && axis.key_positions.shape == positions,
               "positions of (side of the map, key channels)", {k});
        const ConvSpec& encode = axis.encode->spec();
        expect(axis.encode->kind() == ConvKind::Gemm && axis.encode->dtype() == DType::Float32 &&
                   axis.encode->tier() == tier_ && encode.in_channels == v.channels &&
                   encode.out_channels == v.channels,
               "1x1 convolutions of floats from and to the value's channels", {v});
    }

    Tier tier_;
    AxialParameters parameters_[kAxes];
    AxialAttentionArgs args_;
};

}  // namespace

std::unique_ptr<Node> make_axial_attention_node(NodeSpec& spec, const std::vector<Tensor>& tensors) {
    return std::make_unique<AxialAttentionNode>(spec, tensors);
}

}  // namespace mobileinst
