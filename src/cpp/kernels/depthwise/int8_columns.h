#pragma once

// Depthwise convolution of 8-bit integers on x86: values of kDotGroup input rows are interleaved, so that a
// column of as many channels as there are sums is a vector, and each 32-bit sum has the rows' taps of a
// channel beside each other. Columns are made for a few outputs at a time and serve all kernel columns and,
// at stride 1, two output rows.
//
// Packed weights: the sums of each channel's integers times -kByteShift, then for each vector of channels
// kernel column, group of rows and output row the rows' taps; at last the weights as they are, for kernels
// that have no loop.

#include <cstring>

#include "kernels/convolution/int8_ref.h"
#include "kernels/gemm/int8_mode.h"
#include "simd/bytes.h"
#include "simd/epilogue.h"

namespace mobileinst {
namespace {

/// Channels of a vector of sums.
constexpr size_t kColumnChannels = Sums::kWidth;
/// Outputs that columns are made for, and those that one loop computes side by side.
constexpr size_t kColumnTile = 32;
constexpr int kColumnOutputs = 4;

/// How the rows that output rows see lie in groups.
template <int KERNEL, int STRIDE>
struct ColumnShape {
    static constexpr int kRows = STRIDE == 1 ? 2 : 1;  ///< output rows
    static constexpr int kSeen = KERNEL + (kRows - 1) * STRIDE;
    static constexpr int kGroups = (kSeen + static_cast<int>(kDotGroup) - 1) / static_cast<int>(kDotGroup);
    static constexpr int kWeights = KERNEL * kGroups * kRows;
    static constexpr size_t kColumns = (kColumnTile - 1) * STRIDE + KERNEL;
};

/// The same of a kernel that is known when it runs.
struct ColumnGroups {
    size_t rows, groups;

    ColumnGroups(size_t kernel, size_t stride)
        : rows(stride == 1 ? 2 : 1), groups((kernel + (rows - 1) * stride + kDotGroup - 1) / kDotGroup) {}

    /// Bytes of the weights of a vector of channels.
    size_t bytes(size_t kernel) const { return kernel * groups * rows * Bytes::kWidth; }
};

inline size_t column_blocks(size_t channels) { return (channels + kColumnChannels - 1) / kColumnChannels; }

size_t depthwise_columns_packed_size(const ConvSpec& spec) {
    const size_t blocks = column_blocks(spec.out_channels);
    const size_t bytes = ColumnGroups(spec.kernel, spec.stride).bytes(spec.kernel);
    return blocks * (kColumnChannels * sizeof(int32_t) + bytes) + spec.weight_count();
}

void depthwise_columns_pack(const ConvSpec& spec, const float* weight, void* packed) {
    const size_t kernel = spec.kernel, channels = spec.out_channels, taps = kernel * kernel;
    const ColumnGroups shape(kernel, spec.stride);
    const size_t padded = column_blocks(channels) * kColumnChannels;
    auto* start = static_cast<int32_t*>(packed);
    for (size_t channel = 0; channel < padded; ++channel) {
        int32_t sum = 0;
        for (size_t tap = 0; channel < channels && tap < taps; ++tap) {
            sum += static_cast<int32_t>(weight[channel * taps + tap]);
        }
        start[channel] = -kByteShift * sum;
    }
    auto* to = reinterpret_cast<CopiedWeight*>(start + padded);
    for (size_t first = 0; first < channels; first += kColumnChannels) {
        for (size_t i = 0; i < kernel * shape.groups * shape.rows; ++i) {
            const size_t kx = i / (shape.groups * shape.rows), group = i / shape.rows % shape.groups;
            for (size_t j = 0; j < kDotGroup * kColumnChannels; ++j) {
                const size_t channel = first + j / kDotGroup;
                const size_t ky = group * kDotGroup + j % kDotGroup -
                                  i % shape.rows * spec.stride;  // wraps before the first
                *to++ = channel < channels && ky < kernel
                            ? static_cast<CopiedWeight>(weight[channel * taps + ky * kernel + kx])
                            : CopiedWeight{0};
            }
        }
    }
    conv_int8_pack_ref(spec, weight, to);
}

/// The columns that outputs [x, x + outputs) of the rows from `y` on see, group after group of `pitch`
/// columns.
template <int KERNEL, int STRIDE>
struct ColumnMaker {
    const ConvArgs& args;
    const Map<const int8_t> input;
    alignas(16) int8_t outside[kColumnChannels];

    explicit ColumnMaker(const ConvArgs& args_) : args(args_), input(args_.input) {
        std::memset(outside, args.input.quantisation.zero, sizeof(outside));
    }

    void make(size_t y, size_t x, size_t outputs, size_t channel, uint8_t* columns) const {
        using Shape = ColumnShape<KERNEL, STRIDE>;
        const size_t count = (outputs - 1) * STRIDE + KERNEL, pad = KERNEL / 2;
        const size_t left = x * STRIDE < pad ? pad - x * STRIDE : 0;
        const size_t first = x * STRIDE + left - pad;
        const size_t inside = input.width - first < count - left ? input.width - first : count - left;
        const Bytes empty = Bytes::copied(args.input.quantisation.zero);
        for (size_t group = 0; group < Shape::kGroups; ++group, columns += Shape::kColumns * Bytes::kWidth) {
            const int8_t* rows[kDotGroup];
            size_t steps[kDotGroup];
            for (size_t i = 0; i < kDotGroup; ++i) {
                const size_t row = y * STRIDE + group * kDotGroup + i - pad;  // wraps above the image
                const bool seen = row < input.height && group * kDotGroup + i < Shape::kSeen;
                rows[i] = seen ? input.pixel(row * input.width + first) + channel : outside;
                steps[i] = seen ? input.ld : 0;
            }
            uint8_t* to = columns;
            for (size_t i = 0; i < left; ++i, to += Bytes::kWidth) {
                empty.store(to);
            }
            const size_t channels = input.channels - channel;
            if (channels >= kColumnChannels) {
                interleave<true>(rows, steps, inside, channels, to);
            } else {
                interleave<false>(rows, steps, inside, channels, to);
            }
            for (to += inside * Bytes::kWidth; to < columns + count * Bytes::kWidth; to += Bytes::kWidth) {
                empty.store(to);
            }
        }
    }

  private:
    template <bool WHOLE>
    static inline __attribute__((always_inline)) void interleave(const int8_t* const (&rows)[kDotGroup],
                                                                 const size_t (&steps)[kDotGroup],
                                                                 size_t count, size_t channels, uint8_t* to) {
        const int8_t* p[kDotGroup];
#pragma GCC unroll 4
        for (size_t r = 0; r < kDotGroup; ++r) {
            p[r] = rows[r];
        }
        for (size_t i = 0; i < count; ++i, to += Bytes::kWidth) {
            __m128i values[kDotGroup];
#pragma GCC unroll 4
            for (size_t r = 0; r < kDotGroup; ++r) {
                values[r] = load_channels<WHOLE>(p[r], channels);
                p[r] += steps[r];
            }
            interleaved(values).store(to);
        }
    }
};

/// Adds the products of a vector of columns and the weights to the sums of neighbouring outputs.
template <int KERNEL, int STRIDE>
inline __attribute__((always_inline)) void column_sums(
    const uint8_t* columns, const Bytes (&weights)[ColumnShape<KERNEL, STRIDE>::kWeights],
    Sums (&sums)[ColumnShape<KERNEL, STRIDE>::kRows][kColumnOutputs]) {
    using Shape = ColumnShape<KERNEL, STRIDE>;
#pragma GCC unroll 16
    for (int i = 0; i < (kColumnOutputs - 1) * STRIDE + KERNEL; ++i) {
#pragma GCC unroll 2
        for (int g = 0; g < Shape::kGroups; ++g) {
            const Bytes column =
                Bytes::load(columns + (static_cast<size_t>(g) * Shape::kColumns + static_cast<size_t>(i)) *
                                          Bytes::kWidth);
#pragma GCC unroll 4
            for (int x = 0; x < kColumnOutputs; ++x) {
                const int kx = i - x * STRIDE;
#pragma GCC unroll 2
                for (int r = 0; r < Shape::kRows; ++r) {
                    if (kx >= 0 && kx < KERNEL) {
                        sums[r][x] =
                            dot(sums[r][x], column, weights[(kx * Shape::kGroups + g) * Shape::kRows + r]);
                    }
                }
            }
        }
    }
}

/// Where sums of neighbouring outputs of a vector of channels go.
struct ColumnTarget {
    const ConvArgs& args;
    const ByteTable& table;
    Int8Mode mode;
    size_t channel, count;
    Floats scale, shift;

    ColumnTarget(const ConvArgs& args_, const ByteTable& table_, Int8Mode mode_, size_t channel_)
        : args(args_),
          table(table_),
          mode(mode_),
          channel(channel_),
          count(args_.output.channels - channel_ < kColumnChannels ? args_.output.channels - channel_
                                                                   : kColumnChannels),
          scale(floats_at(args_.requantisation.scale + channel_)),
          shift(floats_at(args_.requantisation.shift + channel_)) {}

    /// The first `outputs` of them, from a pixel on.
    inline __attribute__((always_inline)) void store(const Sums (&sums)[kColumnOutputs], size_t pixel,
                                                     size_t outputs) const {
        if (mode == Int8Mode::Floats || mode == Int8Mode::Activated) {
            return store_floats(sums, pixel, outputs);
        }
        if (mode != Int8Mode::Plain && mode != Int8Mode::Table) {
            return store_one_by_one(sums, pixel, outputs);
        }
        Floats v[4];
#pragma GCC unroll 4
        for (int x = 0; x < 4; ++x) {
            v[x] = scaled(sums[x], scale, shift);
        }
        Bytes bytes = in_order(args.requantisation.table != nullptr ? table.of(v) : rounded(v));
        const Map<int8_t> output(args.output);
        int8_t* y = output.pixel(pixel) + channel;
        for (size_t x = 0; x < outputs; ++x, y += output.ld) {
            bytes.store_first(y, count);
            bytes = bytes.rotated<kColumnChannels / 4>();
        }
    }

  private:
    void store_floats(const Sums (&sums)[kColumnOutputs], size_t pixel, size_t outputs) const {
        const Tensor& residual = args.epilogue.residual;
        Vec<float> v[kColumnOutputs];
#pragma GCC unroll 4
        for (int x = 0; x < kColumnOutputs; ++x) {
            const Floats value = scaled(sums[x], scale, shift);
            v[x] = {mode == Int8Mode::Activated
                        ? value
                        : limited(value, args.requantisation.low, args.requantisation.high)};
        }
        if (mode == Int8Mode::Activated) {
            VecEpilogue(args.epilogue.activation).activate_all(v, kColumnOutputs);
        }
        const Map<float> output(args.output);
        float* y = output.pixel(pixel) + channel;
        for (size_t x = 0; x < outputs; ++x, y += output.ld) {
            if (residual.data != nullptr) {
                const float* r = Map<const float>(residual).pixel(pixel + x) + channel;
                v[x] = v[x] + Vec<float>::load_up_to(r, count);
            }
            v[x].store_up_to(y, count);
        }
    }

    void store_one_by_one(const Sums (&sums)[kColumnOutputs], size_t pixel, size_t outputs) const {
        for (size_t x = 0; x < outputs; ++x) {
            alignas(64) int32_t values[kColumnChannels];
            sums[x].store(values);
            for (size_t i = 0; i < count; ++i) {
                store_requantised(args, values[i] - args.requantisation.offset[channel + i], pixel + x,
                                  channel + i);
            }
        }
    }
};

/// Outputs [x, x + outputs) of a vector of channels of the rows from y on, of which there are `rows`.
template <int KERNEL, int STRIDE>
void column_outputs(const ColumnTarget& target, const uint8_t* columns, const uint8_t* packed, Sums start,
                    size_t y, size_t x, size_t outputs, size_t rows) {
    using Shape = ColumnShape<KERNEL, STRIDE>;
    Bytes weights[Shape::kWeights];
#pragma GCC unroll 32
    for (int i = 0; i < Shape::kWeights; ++i) {
        weights[i] = Bytes::load(packed + static_cast<size_t>(i) * Bytes::kWidth);
    }
    const size_t width = target.args.output.width;
    for (size_t i = 0; i < outputs; i += kColumnOutputs) {
        Sums sums[Shape::kRows][kColumnOutputs];
#pragma GCC unroll 8
        for (int j = 0; j < Shape::kRows * kColumnOutputs; ++j) {
            sums[j / kColumnOutputs][j % kColumnOutputs] = start;
        }
        column_sums<KERNEL, STRIDE>(columns + i * STRIDE * Bytes::kWidth, weights, sums);
        const size_t left = outputs - i < kColumnOutputs ? outputs - i : kColumnOutputs;
#pragma GCC unroll 2
        for (size_t r = 0; r < Shape::kRows; ++r) {
            if (r < rows) {
                target.store(sums[r], (y + r) * width + x + i, left);
            }
        }
    }
}

template <int KERNEL, int STRIDE>
void depthwise_columns(const ConvArgs& args, size_t begin, size_t end, void* scratch) {
    using Shape = ColumnShape<KERNEL, STRIDE>;
    constexpr size_t kBlockBytes = static_cast<size_t>(Shape::kWeights) * Bytes::kWidth, kLine = 64;
    const ColumnMaker<KERNEL, STRIDE> maker(args);
    const ByteTable table(args.requantisation.table);
    const Int8Mode mode = int8_mode(args);
    const size_t channels = args.output.channels, width = args.output.width;
    const auto* start = static_cast<const int32_t*>(args.packed);
    const auto* weights = reinterpret_cast<const uint8_t*>(start + column_blocks(channels) * kColumnChannels);
    auto* columns = static_cast<uint8_t*>(scratch);
    for (size_t y = begin; y < end; y += Shape::kRows) {
        // Channels that share a cache line follow one another.
        for (size_t line = 0; line < channels; line += kLine) {
            for (size_t x = 0; x < width; x += kColumnTile) {
                const size_t outputs = width - x < kColumnTile ? width - x : kColumnTile;
                const size_t whole = (outputs + kColumnOutputs - 1) / kColumnOutputs * kColumnOutputs;
                for (size_t channel = line; channel < line + kLine && channel < channels;
                     channel += kColumnChannels) {
                    const ColumnTarget target(args, table, mode, channel);
                    const Sums first =
                        Sums::load(start + channel) + Sums::load(args.requantisation.offset + channel);
                    maker.make(y, x, whole, channel, columns);
                    column_outputs<KERNEL, STRIDE>(target, columns,
                                                   weights + channel / kColumnChannels * kBlockBytes, first,
                                                   y, x, outputs, end - y);
                }
            }
        }
    }
}

size_t depthwise_columns_scratch(const ConvArgs& /*args*/) {
    return ColumnShape<5, 2>::kColumns * ColumnShape<5, 2>::kGroups * Bytes::kWidth;
}

void depthwise_columns_run(const ConvArgs& args, size_t begin, size_t end, void* scratch) {
    if (args.kernel == 3 && args.stride == 1) {
        depthwise_columns<3, 1>(args, begin, end, scratch);
    } else if (args.kernel == 3 && args.stride == 2) {
        depthwise_columns<3, 2>(args, begin, end, scratch);
    } else if (args.kernel == 5 && args.stride == 1) {
        depthwise_columns<5, 1>(args, begin, end, scratch);
    } else if (args.kernel == 5 && args.stride == 2) {
        depthwise_columns<5, 2>(args, begin, end, scratch);
    } else {
        const size_t blocks = column_blocks(args.output.channels);
        const size_t bytes = ColumnGroups(args.kernel, args.stride).bytes(args.kernel);
        ConvArgs plain = args;
        plain.packed =
            static_cast<const char*>(args.packed) + blocks * (kColumnChannels * sizeof(int32_t) + bytes);
        conv_int8_rows_ref(plain, begin, end, scratch);
    }
}

constexpr ConvKernels kDepthwiseInt8 = {depthwise_columns_packed_size, depthwise_columns_pack,
                                        depthwise_columns_scratch,     output_rows,
                                        depthwise_columns_run,         2};

}  // namespace
}  // namespace mobileinst
