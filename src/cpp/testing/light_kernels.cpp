#include <limits>
#include <stdexcept>

#include "core/aligned_buffer.h"
#include "kernels/attention/attention.h"
#include "kernels/axial_attention/axial_attention.h"
#include "kernels/convolution/convolution.h"
#include "kernels/elementwise/elementwise.h"
#include "kernels/kernel_table.h"
#include "kernels/layer_norm/layer_norm.h"
#include "kernels/pooling/pooling.h"
#include "kernels/preprocess/preprocess.h"
#include "kernels/resize/resize.h"
#include "kernels/transpose/transpose.h"
#include "masks/mask_product/mask_product.h"
#include "testing/elements.h"
#include "testing/testing.h"

namespace mobileinst {
namespace {

/// A copy of an array's rows in memory of the engine's kind: `padding` poisoned elements follow every row, so
/// that reading or writing them shows.
class Rows {
  public:
    Rows(size_t rows, size_t channels, size_t padding, DType dtype = DType::Float32)
        : rows_(rows),
          channels_(channels),
          ld_(channels + padding),
          dtype_(dtype),
          buffer_(AlignedBuffer(elements_of(rows, ld_) * size_of(dtype))) {
        for (size_t i = 0; i < rows * ld_; ++i) {
            set(i, std::numeric_limits<float>::quiet_NaN());
        }
    }

    Rows(const FloatArray& array, size_t padding, DType dtype = DType::Float32)
        : Rows(static_cast<size_t>(array.size() / array.shape(array.ndim() - 1)),
               static_cast<size_t>(array.shape(array.ndim() - 1)), padding, dtype) {
        for (size_t row = 0; row < rows_; ++row) {
            for (size_t i = 0; i < channels_; ++i) {
                set(row * ld_ + i, array.data()[row * channels_ + i]);
            }
        }
    }

    size_t rows() const { return rows_; }
    size_t channels() const { return channels_; }
    Tensor tokens() const { return map(1, rows_); }
    Tensor map(size_t height, size_t width) const {
        return make_tensor(dtype_, buffer_.data(), height, width, channels_, ld_);
    }

    /// The rows as an array of that shape; throws std::logic_error if the padding was written.
    FloatArray array(const std::vector<py::ssize_t>& shape) const {
        FloatArray result(shape);
        for (size_t row = 0; row < rows_; ++row) {
            for (size_t i = 0; i < channels_; ++i) {
                result.mutable_data()[row * channels_ + i] = get(row * ld_ + i);
            }
            for (size_t i = channels_; i < ld_; ++i) {
                const float padding = get(row * ld_ + i);
                if (padding == padding) {
                    throw std::logic_error("a kernel wrote beyond the channels of a pixel");
                }
            }
        }
        return result;
    }

  private:
    static size_t elements_of(size_t rows, size_t ld) {
        if (rows > std::numeric_limits<size_t>::max() / ld / sizeof(float)) {
            throw std::bad_alloc();
        }
        return rows * ld;
    }

    const Half* halves() const { return static_cast<const Half*>(buffer_.data()); }
    float get(size_t i) const {
        return dtype_ == DType::Float32 ? buffer_.floats()[i] : static_cast<float>(halves()[i]);
    }
    void set(size_t i, float x) {
        if (dtype_ == DType::Float32) {
            buffer_.floats()[i] = x;
        } else {
            static_cast<Half*>(buffer_.data())[i] = Half(x);
        }
    }

    size_t rows_, channels_, ld_;
    DType dtype_;
    AlignedBuffer buffer_;
};

/// How a test runs a kernel.
struct Way {
    Tier tier;
    size_t padding, parts;
    DType dtype;

    Way(const py::object& tier_name, size_t padding_floats, size_t part_count,
        const py::object& dtype_name = py::none())
        : tier(tier_argument(tier_name)),
          padding(padding_floats),
          parts(part_count),
          dtype(element_type_argument(dtype_name)) {
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
                       const py::object& activation, const py::object& tier, size_t padding, size_t parts,
                       const py::object& dtype) {
    const Way way(tier, padding, parts, dtype);
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
    Rows rows_a(first, padding, way.dtype);
    Rows rows_b(args.op == ElementwiseOp::Copy ? first : checked_array<float>(b, "b", shape), padding,
                way.dtype);
    Rows rows_c(args.op == ElementwiseOp::MultiplyAdd ? checked_array<float>(c, "c", shape) : first, padding,
                way.dtype);
    Rows output(rows_a.rows(), rows_a.channels(), padding, way.dtype);
    args.a = rows_a.tokens();
    args.b = rows_b.tokens();
    args.c = rows_c.tokens();
    args.output = output.tokens();
    args.activation = activation_argument(activation);
    way.split(output.rows(), [&](size_t begin, size_t end) {
        kernels_of(way.tier, &KernelTable::elementwise, way.dtype).run(args, begin, end);
    });
    return output.array(shape);
}

FloatArray resize(const py::object& input, size_t height, size_t width, const py::object& local,
                  const py::object& shift, const py::object& activation, const py::object& tier,
                  size_t padding, size_t parts, const py::object& dtype) {
    const Way way(tier, padding, parts, dtype);
    const FloatArray map = checked_array<float>(input, "input", {kAny, kAny, kAny});
    check_range("height", static_cast<long long>(height), 1, kMaxSide);
    check_range("width", static_cast<long long>(width), 1, kMaxSide);
    const std::vector<py::ssize_t> shape = {static_cast<py::ssize_t>(height), static_cast<py::ssize_t>(width),
                                            map.shape(2)};
    Rows rows(map, padding, way.dtype);
    Rows shift_rows(shift.is_none() ? map : checked_array<float>(shift, "shift", shape_of(map)), padding,
                    way.dtype);
    Rows output(height * width, rows.channels(), padding, way.dtype);
    const auto in_height = static_cast<size_t>(map.shape(0)), in_width = static_cast<size_t>(map.shape(1));
    ResizeArgs args;
    args.input = rows.map(in_height, in_width);
    if (!local.is_none()) {
        output =
            Rows(checked_array<float>(local, "local", shape), padding, way.dtype);  // in place, as plans do
        args.local = output.map(height, width);
        args.shift = shift.is_none() ? Tensor{} : shift_rows.map(in_height, in_width);
    }
    args.output = output.map(height, width);
    args.activation = activation_argument(activation);
    way.split(height, [&](size_t begin, size_t end) {
        kernels_of(way.tier, &KernelTable::resize, way.dtype).run(args, begin, end);
    });
    return output.array(shape);
}

FloatArray pool(const py::object& input, size_t height, size_t width, bool average, const py::object& tier,
                size_t padding, size_t parts, const py::object& dtype) {
    const Way way(tier, padding, parts, dtype);
    const FloatArray map = checked_array<float>(input, "input", {kAny, kAny, kAny});
    check_range("height", static_cast<long long>(height), 1, kMaxSide);
    check_range("width", static_cast<long long>(width), 1, kMaxSide);
    Rows rows(map, padding, way.dtype), output(height * width, rows.channels(), padding, way.dtype);
    PoolArgs args;
    args.input = rows.map(static_cast<size_t>(map.shape(0)), static_cast<size_t>(map.shape(1)));
    args.output = output.map(height, width);
    const PoolKernels& kernels = kernels_of(way.tier, &KernelTable::pool, way.dtype);
    way.split(height * width, [&](size_t begin, size_t end) {
        (average ? kernels.average : kernels.maximum)(args, begin, end);
    });
    return output.array({static_cast<py::ssize_t>(height), static_cast<py::ssize_t>(width), map.shape(2)});
}

FloatArray layer_norm(const py::object& input, const py::object& weight, const py::object& bias, float eps,
                      const py::object& tier, size_t padding, size_t parts, const py::object& dtype) {
    const Way way(tier, padding, parts, dtype);
    const FloatArray tokens = checked_array<float>(input, "input", {kAny, kAny});
    const FloatArray scale = checked_array<float>(weight, "weight", {tokens.shape(1)});
    const FloatArray shift = checked_array<float>(bias, "bias", {tokens.shape(1)});
    Rows rows(tokens, padding, way.dtype), output(rows.rows(), rows.channels(), padding, way.dtype);
    LayerNormArgs args;
    args.input = rows.tokens();
    args.weight = scale.data();
    args.bias = shift.data();
    args.output = output.tokens();
    args.eps = eps;
    way.split(rows.rows(), [&](size_t begin, size_t end) {
        kernels_of(way.tier, &KernelTable::layer_norm, way.dtype).run(args, begin, end);
    });
    return output.array(shape_of(tokens));
}

FloatArray transpose(const py::object& input, const py::object& tier, size_t padding) {
    const Way way(tier, padding, 1);
    const FloatArray matrix = checked_array<float>(input, "input", {kAny, kAny});
    Rows rows(matrix, padding), output(rows.channels(), rows.rows(), padding);
    kernels_of(way.tier, &KernelTable::transpose).run({rows.tokens(), output.tokens()});
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
    args.query = q_rows.tokens();
    args.key = k_rows.tokens();
    args.value = v_rows.tokens();
    args.output = output.tokens();
    args.heads = heads;
    args.scale = scale;
    args.activation = activation_argument(activation);
    const AttentionKernels& kernels = kernels_of(way.tier, &KernelTable::attention);
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
        const ConvKernels& gemm = kernels_of(tier, &KernelTable::gemm);
        const auto channels = static_cast<size_t>(value_channels);
        const ConvSpec spec{channels, channels, 1, 1, 1};
        packed = AlignedBuffer(gemm.packed_size(spec));
        gemm.pack(spec, weight.data(), packed.data());
    }
};

FloatArray axial(const py::object& query, const py::object& key, const py::object& value, size_t heads,
                 float scale, const py::dict& rows, const py::dict& columns, const py::object& tier,
                 size_t padding, size_t parts, const py::object& dtype) {
    const Way way(tier, padding, parts, dtype);
    const FloatArray q = checked_array<float>(query, "query", {kAny, kAny, kAny});
    const FloatArray k = checked_array<float>(key, "key", shape_of(q));
    const FloatArray v = checked_array<float>(value, "value", {q.shape(0), q.shape(1), kAny});
    if (heads == 0 || static_cast<size_t>(q.shape(2)) % heads != 0 ||
        static_cast<size_t>(v.shape(2)) % heads != 0) {
        throw std::invalid_argument("heads: expected a divisor of " + std::to_string(q.shape(2)) + " and " +
                                    std::to_string(v.shape(2)) + ", got " + std::to_string(heads));
    }
    const AxisArrays axes[] = {{rows, q.shape(0), q.shape(2), v.shape(2), way.tier},
                               {columns, q.shape(1), q.shape(2), v.shape(2), way.tier}};
    Rows q_rows(q, padding, way.dtype), k_rows(k, padding, way.dtype),
        output(v, padding, way.dtype);  // in place, as plans may do
    const auto height = static_cast<size_t>(v.shape(0)), width = static_cast<size_t>(v.shape(1));
    AxialAttentionArgs args;
    args.query = q_rows.map(height, width);
    args.key = k_rows.map(height, width);
    args.value = args.output = output.map(height, width);
    args.heads = heads;
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
    const size_t count = static_cast<size_t>(weights.shape(0));
    AlignedBuffer packed(mask_product_packed_size(way.tier, count, rows.channels()));
    AlignedBuffer scratch(mask_product_scratch_size(count));
    mask_product_pack(way.tier, weights.data(), count, rows.channels(), packed.data());
    const std::optional<FloatArray> offsets = optional_array(bias, "bias", {weights.shape(0)});
    FloatArray output({weights.shape(0), map.shape(0)});
    const MaskProductArgs args{rows.tokens(), packed.data(), offsets ? offsets->data() : nullptr,
                               float_matrix(output.data(), count, rows.rows())};
    way.split(rows.rows(),
              [&](size_t begin, size_t end) { mask_product(way.tier, args, begin, end, scratch.data()); });
    return output;
}

FloatArray preprocess(const py::object& frame, long long height, long long width,
                      const std::vector<float>& mean, const std::vector<float>& std, bool bgr,
                      const py::object& tier_name) {
    const ByteArray pixels = checked_array<uint8_t>(frame, "frame", {kAny, kAny, 3});
    check_range("height", height, 1, kMaxSide);
    check_range("width", width, 1, kMaxSide);
    const PreprocessKernels& kernels = kernels_of(tier_argument(tier_name), &KernelTable::preprocess);
    PreprocessArgs args;
    set_normalisation(&args, mean, std);
    args.frame = pixels.data();
    args.frame_height = static_cast<size_t>(pixels.shape(0));
    args.frame_width = static_cast<size_t>(pixels.shape(1));
    const auto rows = static_cast<size_t>(height), row = static_cast<size_t>(width);
    args.bgr = bgr;
    FloatArray result({py::ssize_t{3}, static_cast<py::ssize_t>(height), static_cast<py::ssize_t>(width)});
    float* planes = result.mutable_data();
    GilRelease release;
    std::vector<LinearTap> columns(row);
    for (size_t x = 0; x < row; ++x) {
        columns[x] = linear_tap(x, args.frame_width, row);
    }
    args.columns = columns.data();
    AlignedBuffer scratch(kernels.scratch_size(args)), output = AlignedBuffer::of_floats(rows * row * 3);
    args.output = float_tensor(output.floats(), rows, row, 3, 3);
    kernels.run(args, 0, rows, scratch.data());
    for (size_t c = 0; c < 3; ++c) {
        for (size_t i = 0; i < rows * row; ++i) {
            *planes++ = output.floats()[i * 3 + c];
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
    const auto dtype = arg("dtype") = none;  // that arrays are converted to
    const auto activation = arg("activation") = none;
    kernels.def("elementwise", &elementwise, arg("op"), arg("a"), arg("b") = none, arg("c") = none, only,
                activation, tier, padding, parts, dtype,
                "'copy', 'add', 'multiply' or 'multiply_add' (a * b + c) of (pixels, channels).");
    kernels.def("resize", &resize, arg("input"), arg("height"), arg("width"), arg("local") = none,
                arg("shift") = none, only, activation, tier, padding, parts, dtype,
                "R(input), local + R(input), or local * R(input) + R(shift) of maps (H, W, C), R bilinear.");
    kernels.def("pool", &pool, arg("input"), arg("height"), arg("width"), arg("average"), only, tier, padding,
                parts, dtype, "Adaptive average or maximum pooling of a map (H, W, C).");
    kernels.def("layer_norm", &layer_norm, arg("input"), arg("weight"), arg("bias"), arg("eps") = 1e-5f, only,
                tier, padding, parts, dtype, "Layer norm over the channels of tokens (N, C).");
    kernels.def("transpose", &transpose, arg("input"), only, tier, padding, "A matrix's rows as columns.");
    kernels.def("attention", &attention, arg("query"), arg("key"), arg("value"), arg("heads"), arg("scale"),
                only, activation, tier, padding, parts, "Multi-head attention of tokens (N, heads * dim).");
    kernels.def(
        "axial_attention", &axial, arg("query"), arg("key"), arg("value"), arg("heads"), arg("scale"),
        arg("rows"), arg("columns"), only, tier, padding, parts, dtype,
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
