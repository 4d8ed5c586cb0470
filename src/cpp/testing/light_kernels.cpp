#include <limits>
#include <stdexcept>

#include "core/aligned_buffer.h"
#include "kernels/attention/attention.h"
#include "kernels/axial_attention/axial_attention.h"
#include "kernels/elementwise/elementwise.h"
#include "kernels/gemm/gemm.h"
#include "kernels/layer_norm/layer_norm.h"
#include "kernels/mask_product/mask_product.h"
#include "kernels/pooling/pooling.h"
#include "kernels/preprocess/preprocess.h"
#include "kernels/resize/resize.h"
#include "kernels/transpose/transpose.h"
#include "testing/testing.h"

namespace mobileinst {
namespace {

/// A copy of an array's rows in memory of the engine's kind: `padding` poisoned floats follow every row, so
/// that reading or writing them shows.
class Rows {
  public:
    Rows(size_t rows, size_t channels, size_t padding)
        : rows_(rows), channels_(channels), ld_(channels + padding), buffer_(floats_of(rows, ld_)) {
        std::fill_n(buffer_.data(), buffer_.size(), std::numeric_limits<float>::quiet_NaN());
    }

    Rows(const FloatArray& array, size_t padding)
        : Rows(static_cast<size_t>(array.size() / array.shape(array.ndim() - 1)),
               static_cast<size_t>(array.shape(array.ndim() - 1)), padding) {
        for (size_t row = 0; row < rows_; ++row) {
            std::copy_n(array.data() + row * channels_, channels_, buffer_.data() + row * ld_);
        }
    }

    float* data() { return buffer_.data(); }
    size_t ld() const { return ld_; }
    size_t rows() const { return rows_; }
    size_t channels() const { return channels_; }

    /// The rows as an array of that shape; throws std::logic_error if the padding was written.
    FloatArray array(const std::vector<py::ssize_t>& shape) const {
        FloatArray result(shape);
        for (size_t row = 0; row < rows_; ++row) {
            const float* source = buffer_.data() + row * ld_;
            std::copy_n(source, channels_, result.mutable_data() + row * channels_);
            for (size_t i = channels_; i < ld_; ++i) {
                if (source[i] == source[i]) {
                    throw std::logic_error("a kernel wrote beyond the channels of a pixel");
                }
            }
        }
        return result;
    }

  private:
    static size_t floats_of(size_t rows, size_t ld) {
        if (rows > std::numeric_limits<size_t>::max() / ld) {
            throw std::bad_alloc();
        }
        return rows * ld;
    }

    size_t rows_, channels_, ld_;
    AlignedBuffer buffer_;
};

/// How a test runs a kernel.
struct Way {
    Tier tier;
    size_t padding, parts;

    Way(const py::object& tier_name, size_t padding_floats, size_t part_count)
        : tier(tier_argument(tier_name)), padding(padding_floats), parts(part_count) {
        check_range("padding", static_cast<long long>(padding_floats), 0, 1024);
        check_range("parts", static_cast<long long>(part_count), 1, 1024);
    }

    /// Calls run(begin, end) for `parts` ranges that cover [0, count).
    template <typename Run>
    void split(size_t count, const Run& run) const {
        for (size_t part = 0; part < parts; ++part) {
            const size_t begin = part * count / parts, end = (part + 1) * count / parts;
            if (begin < end) {
                run(begin, end);
            }
        }
    }
};

std::vector<py::ssize_t> shape_of(const py::array& array) {
    return {array.shape(), array.shape() + array.ndim()};
}

FloatArray elementwise(const std::string& op, const py::object& a, const py::object& b, const py::object& c,
                       const py::object& activation, const py::object& tier, size_t padding, size_t parts) {
    const Way way(tier, padding, parts);
    const FloatArray first = checked_array<float>(a, "a", {kAny, kAny});
    const std::vector<py::ssize_t> shape = shape_of(first);
    ElementwiseArgs args;
    const std::pair<const char*, ElementwiseOp> ops[] = {{"copy", ElementwiseOp::Copy},
                                                         {"add", ElementwiseOp::Add},
                                                         {"multiply", ElementwiseOp::Multiply},
                                                         {"multiply_add", ElementwiseOp::MultiplyAdd}};
    const auto* found =
        std::find_if(std::begin(ops), std::end(ops), [&](const auto& known) { return op == known.first; });
    if (found == std::end(ops)) {
        throw std::invalid_argument("op: expected 'copy', 'add', 'multiply' or 'multiply_add', got '" + op +
                                    "'");
    }
    args.op = found->second;
    Rows rows_a(first, padding);
    Rows rows_b(args.op == ElementwiseOp::Copy ? first : checked_array<float>(b, "b", shape), padding);
    Rows rows_c(args.op == ElementwiseOp::MultiplyAdd ? checked_array<float>(c, "c", shape) : first, padding);
    Rows output(rows_a.rows(), rows_a.channels(), padding);
    args.a = rows_a.data();
    args.b = rows_b.data();
    args.c = rows_c.data();
    args.a_ld = args.b_ld = args.c_ld = rows_a.ld();
    args.output = output.data();
    args.output_ld = output.ld();
    args.pixels = output.rows();
    args.channels = output.channels();
    args.activation = activation_argument(activation);
    way.split(args.pixels,
              [&](size_t begin, size_t end) { elementwise_kernels(way.tier).run(args, begin, end); });
    return output.array(shape);
}

FloatArray resize(const py::object& input, size_t height, size_t width, const py::object& local,
                  const py::object& shift, const py::object& activation, const py::object& tier,
                  size_t padding, size_t parts) {
    const Way way(tier, padding, parts);
    const FloatArray map = checked_array<float>(input, "input", {kAny, kAny, kAny});
    check_range("height", static_cast<long long>(height), 1, kMaxSide);
    check_range("width", static_cast<long long>(width), 1, kMaxSide);
    const std::vector<py::ssize_t> shape = {static_cast<py::ssize_t>(height), static_cast<py::ssize_t>(width),
                                            map.shape(2)};
    Rows rows(map, padding);
    Rows shift_rows(shift.is_none() ? map : checked_array<float>(shift, "shift", shape_of(map)), padding);
    Rows output(height * width, rows.channels(), padding);
    ResizeArgs args;
    args.input = rows.data();
    args.input_ld = args.shift_ld = rows.ld();
    args.output = output.data();
    args.output_ld = output.ld();
    if (!local.is_none()) {
        output = Rows(checked_array<float>(local, "local", shape), padding);  // in place, as plans do
        args.local = args.output = output.data();
        args.local_ld = output.ld();
        args.shift = shift.is_none() ? nullptr : shift_rows.data();
    }
    args.height = static_cast<size_t>(map.shape(0));
    args.width = static_cast<size_t>(map.shape(1));
    args.out_height = height;
    args.out_width = width;
    args.channels = rows.channels();
    args.activation = activation_argument(activation);
    way.split(height, [&](size_t begin, size_t end) { resize_kernels(way.tier).run(args, begin, end); });
    return output.array(shape);
}

FloatArray pool(const py::object& input, size_t height, size_t width, bool average, const py::object& tier,
                size_t padding, size_t parts) {
    const Way way(tier, padding, parts);
    const FloatArray map = checked_array<float>(input, "input", {kAny, kAny, kAny});
    check_range("height", static_cast<long long>(height), 1, kMaxSide);
    check_range("width", static_cast<long long>(width), 1, kMaxSide);
    Rows rows(map, padding), output(height * width, rows.channels(), padding);
    PoolArgs args;
    args.input = rows.data();
    args.input_ld = rows.ld();
    args.output = output.data();
    args.output_ld = output.ld();
    args.height = static_cast<size_t>(map.shape(0));
    args.width = static_cast<size_t>(map.shape(1));
    args.out_height = height;
    args.out_width = width;
    args.channels = rows.channels();
    const PoolKernels& kernels = pool_kernels(way.tier);
    way.split(height * width, [&](size_t begin, size_t end) {
        (average ? kernels.average : kernels.maximum)(args, begin, end);
    });
    return output.array({static_cast<py::ssize_t>(height), static_cast<py::ssize_t>(width), map.shape(2)});
}

FloatArray layer_norm(const py::object& input, const py::object& weight, const py::object& bias, float eps,
                      const py::object& tier, size_t padding, size_t parts) {
    const Way way(tier, padding, parts);
    const FloatArray tokens = checked_array<float>(input, "input", {kAny, kAny});
    const FloatArray scale = checked_array<float>(weight, "weight", {tokens.shape(1)});
    const FloatArray shift = checked_array<float>(bias, "bias", {tokens.shape(1)});
    Rows rows(tokens, padding), output(rows.rows(), rows.channels(), padding);
    LayerNormArgs args;
    args.input = rows.data();
    args.input_ld = rows.ld();
    args.weight = scale.data();
    args.bias = shift.data();
    args.output = output.data();
    args.output_ld = output.ld();
    args.rows = rows.rows();
    args.channels = rows.channels();
    args.eps = eps;
    way.split(args.rows,
              [&](size_t begin, size_t end) { layer_norm_kernels(way.tier).run(args, begin, end); });
    return output.array(shape_of(tokens));
}

FloatArray transpose(const py::object& input, const py::object& tier, size_t padding) {
    const Way way(tier, padding, 1);
    const FloatArray matrix = checked_array<float>(input, "input", {kAny, kAny});
    Rows rows(matrix, padding), output(rows.channels(), rows.rows(), padding);
    TransposeArgs args;
    args.input = rows.data();
    args.input_ld = rows.ld();
    args.output = output.data();
    args.output_ld = output.ld();
    args.rows = rows.rows();
    args.columns = rows.channels();
    transpose_kernels(way.tier).run(args);
    return output.array({matrix.shape(1), matrix.shape(0)});
}

FloatArray attention(const py::object& query, const py::object& key, const py::object& value, size_t heads,
                     float scale, const py::object& activation, const py::object& tier, size_t padding,
                     size_t parts) {
    const Way way(tier, padding, parts);
    const FloatArray q = checked_array<float>(query, "query", {kAny, kAny});
    const FloatArray k = checked_array<float>(key, "key", {kAny, q.shape(1)});
    const FloatArray v = checked_array<float>(value, "value", {k.shape(0), kAny});
    const auto key_channels = static_cast<size_t>(q.shape(1)),
               value_channels = static_cast<size_t>(v.shape(1));
    if (heads == 0 || key_channels % heads != 0 || value_channels % heads != 0) {
        throw std::invalid_argument("heads: expected a divisor of " + std::to_string(key_channels) + " and " +
                                    std::to_string(value_channels) + ", got " + std::to_string(heads));
    }
    Rows q_rows(q, padding), k_rows(k, padding), v_rows(v, padding);
    Rows output(q_rows.rows(), value_channels, padding);
    AttentionArgs args;
    args.query = q_rows.data();
    args.query_ld = q_rows.ld();
    args.key = k_rows.data();
    args.key_ld = k_rows.ld();
    args.value = v_rows.data();
    args.value_ld = v_rows.ld();
    args.output = output.data();
    args.output_ld = output.ld();
    args.queries = q_rows.rows();
    args.keys = k_rows.rows();
    args.heads = heads;
    args.key_dim = key_channels / heads;
    args.value_dim = value_channels / heads;
    args.scale = scale;
    args.activation = activation_argument(activation);
    const AttentionKernels& kernels = attention_kernels(way.tier);
    AlignedBuffer scratch(kernels.scratch_size(args));
    way.split(heads, [&](size_t begin, size_t end) { kernels.run(args, begin, end, scratch.data()); });
    return output.array({q.shape(0), v.shape(1)});
}

/// Parameters of one axis: positions of queries and keys (length, key channels), weight (C, C), bias (C,).
struct AxisArrays {
    FloatArray query, key, weight, bias;
    AlignedBuffer packed;

    AxisArrays(const py::dict& arrays, py::ssize_t length, py::ssize_t key_channels,
               py::ssize_t value_channels, Tier tier)
        : query(checked_array<float>(arrays["query"], "query positions", {length, key_channels})),
          key(checked_array<float>(arrays["key"], "key positions", {length, key_channels})),
          weight(checked_array<float>(arrays["weight"], "weight", {value_channels, value_channels})),
          bias(checked_array<float>(arrays["bias"], "bias", {value_channels})) {
        const GemmKernels& gemm = gemm_kernels(tier);
        const auto channels = static_cast<size_t>(value_channels);
        packed = AlignedBuffer(gemm.packed_size(channels, channels));
        gemm.pack(weight.data(), channels, channels, channels, packed.data());
    }
};

FloatArray axial(const py::object& query, const py::object& key, const py::object& value, size_t heads,
                 float scale, const py::dict& rows, const py::dict& columns, const py::object& tier,
                 size_t padding, size_t parts) {
    const Way way(tier, padding, parts);
    const FloatArray q = checked_array<float>(query, "query", {kAny, kAny, kAny});
    const FloatArray k = checked_array<float>(key, "key", shape_of(q));
    const FloatArray v = checked_array<float>(value, "value", {q.shape(0), q.shape(1), kAny});
    AxialAttentionArgs args;
    args.heads = heads;
    args.key_dim = heads == 0 ? 0 : static_cast<size_t>(q.shape(2)) / heads;
    args.value_dim = heads == 0 ? 0 : static_cast<size_t>(v.shape(2)) / heads;
    if (args.key_channels() != static_cast<size_t>(q.shape(2)) ||
        args.value_channels() != static_cast<size_t>(v.shape(2))) {
        throw std::invalid_argument("heads: expected a divisor of " + std::to_string(q.shape(2)) + " and " +
                                    std::to_string(v.shape(2)) + ", got " + std::to_string(heads));
    }
    const AxisArrays axes[] = {{rows, q.shape(0), q.shape(2), v.shape(2), way.tier},
                               {columns, q.shape(1), q.shape(2), v.shape(2), way.tier}};
    Rows q_rows(q, padding), k_rows(k, padding), output(v, padding);  // in place, as plans may do
    args.query = q_rows.data();
    args.query_ld = q_rows.ld();
    args.key = k_rows.data();
    args.key_ld = k_rows.ld();
    args.value = args.output = output.data();
    args.value_ld = args.output_ld = output.ld();
    args.height = static_cast<size_t>(v.shape(0));
    args.width = static_cast<size_t>(v.shape(1));
    args.scale = scale;
    for (size_t axis = 0; axis < kAxes; ++axis) {
        args.query_positions[axis] = axes[axis].query.data();
        args.key_positions[axis] = axes[axis].key.data();
        args.encode[axis] = axes[axis].packed.data();
        args.encode_bias[axis] = axes[axis].bias.data();
    }
    AlignedBuffer workspace(axial_workspace_size(args));
    args.workspace = workspace.data();
    AlignedBuffer scratch(axial_scratch_size(way.tier, args));
    for (size_t step = 0; step < kAxialSteps; ++step) {
        way.split(axial_units(args, step), [&](size_t begin, size_t end) {
            axial_attention(way.tier, args, step, begin, end, scratch.data());
        });
    }
    return output.array(shape_of(v));
}

FloatArray masks(const py::object& kernels, const py::object& features, const py::object& bias,
                 const py::object& tier, size_t padding, size_t parts) {
    const Way way(tier, padding, parts);
    const FloatArray weights = checked_array<float>(kernels, "kernels", {kAny, kAny});
    const FloatArray map = checked_array<float>(features, "features", {kAny, weights.shape(1)});
    Rows rows(map, padding);
    MaskProductArgs args;
    args.features = rows.data();
    args.features_ld = rows.ld();
    args.pixels = rows.rows();
    args.channels = rows.channels();
    args.kernels = static_cast<size_t>(weights.shape(0));
    AlignedBuffer packed(mask_product_packed_size(way.tier, args.kernels, args.channels));
    AlignedBuffer scratch(mask_product_scratch_size(args.kernels));
    mask_product_pack(way.tier, weights.data(), args.channels, args.kernels, args.channels, packed.data());
    const std::optional<FloatArray> offsets = optional_array(bias, "bias", {weights.shape(0)});
    args.bias = offsets ? offsets->data() : nullptr;
    FloatArray output({weights.shape(0), map.shape(0)});
    args.packed = packed.data();
    args.output = output.mutable_data();
    way.split(args.pixels,
              [&](size_t begin, size_t end) { mask_product(way.tier, args, begin, end, scratch.data()); });
    return output;
}

FloatArray preprocess(const py::object& frame, long long height, long long width,
                      const std::vector<float>& mean, const std::vector<float>& std, bool bgr,
                      const py::object& tier_name) {
    const ByteArray pixels = checked_array<uint8_t>(frame, "frame", {kAny, kAny, 3});
    check_range("height", height, 1, kMaxSide);
    check_range("width", width, 1, kMaxSide);
    const PreprocessKernels& kernels = preprocess_kernels(tier_argument(tier_name));
    PreprocessArgs args;
    set_normalisation(&args, mean, std);
    args.frame = pixels.data();
    args.frame_height = static_cast<size_t>(pixels.shape(0));
    args.frame_width = static_cast<size_t>(pixels.shape(1));
    args.height = static_cast<size_t>(height);
    args.width = static_cast<size_t>(width);
    args.bgr = bgr;
    FloatArray result({py::ssize_t{3}, static_cast<py::ssize_t>(height), static_cast<py::ssize_t>(width)});
    float* planes = result.mutable_data();
    GilRelease release;
    std::vector<LinearTap> columns(args.width);
    for (size_t x = 0; x < args.width; ++x) {
        columns[x] = linear_tap(x, args.frame_width, args.width);
    }
    args.columns = columns.data();
    AlignedBuffer scratch(kernels.scratch_size(args)), output(args.height * args.width * 3);
    args.output = output.data();
    kernels.run(args, 0, args.height, scratch.data());
    for (size_t c = 0; c < 3; ++c) {
        for (size_t i = 0; i < args.height * args.width; ++i) {
            *planes++ = output.data()[i * 3 + c];
        }
    }
    return result;
}

}  // namespace

void register_light_kernels(py::module_& kernels) {
    using py::arg;
    const auto none = py::none();
    const auto only = py::kw_only();
    const auto tier = arg("tier") = none;
    const auto padding = arg("padding") = 0;
    const auto parts = arg("parts") = 1;
    const auto activation = arg("activation") = none;
    kernels.def("elementwise", &elementwise, arg("op"), arg("a"), arg("b") = none, arg("c") = none, only,
                activation, tier, padding, parts,
                "'copy', 'add', 'multiply' or 'multiply_add' (a * b + c) of (pixels, channels).");
    kernels.def("resize", &resize, arg("input"), arg("height"), arg("width"), arg("local") = none,
                arg("shift") = none, only, activation, tier, padding, parts,
                "R(input), local + R(input), or local * R(input) + R(shift) of maps (H, W, C), R bilinear.");
    kernels.def("pool", &pool, arg("input"), arg("height"), arg("width"), arg("average"), only, tier, padding,
                parts, "Adaptive average or maximum pooling of a map (H, W, C).");
    kernels.def("layer_norm", &layer_norm, arg("input"), arg("weight"), arg("bias"), arg("eps") = 1e-5f, only,
                tier, padding, parts, "Layer norm over the channels of tokens (N, C).");
    kernels.def("transpose", &transpose, arg("input"), only, tier, padding, "A matrix's rows as columns.");
    kernels.def("attention", &attention, arg("query"), arg("key"), arg("value"), arg("heads"), arg("scale"),
                only, activation, tier, padding, parts, "Multi-head attention of tokens (N, heads * dim).");
    kernels.def(
        "axial_attention", &axial, arg("query"), arg("key"), arg("value"), arg("heads"), arg("scale"),
        arg("rows"), arg("columns"), only, tier, padding, parts,
        "relu6(value + rows + columns) of maps (H, W, heads * dim), see AxialAttentionArgs; `rows` and "
        "`columns` hold query and key positions (length, C), weight (C, C) and bias (C,).");
    kernels.def("mask_product", &masks, arg("kernels"), arg("features"), only, arg("bias") = none, tier,
                padding, parts,
                "Mask logits (n, pixels) of kernels (n, D), mask features (pixels, D) and a bias (n,).");
    kernels.def("preprocess", &preprocess, arg("frame"), arg("height"), arg("width"), arg("mean"), arg("std"),
                arg("bgr") = false, only, tier,
                "A frame uint8 (H, W, 3) as the network's input, float32 (3, height, width).");
}

}  // namespace mobileinst
