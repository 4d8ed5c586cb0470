#pragma once

// Any dense convolution of 8-bit integers as a matrix product: the values that an output sees are copied one
// after the other, by kernel row, kernel column and channel.

#include "kernels/gemm/int8.h"

namespace mobileinst {
namespace {

/// The taps of a kernel that are not 0 in all filters: rows and columns of it. The others cost nothing.
struct DirectTaps {
    uint32_t first_row, end_row, first_column, end_column;

    size_t rows() const { return end_row - first_row; }
    size_t columns() const { return end_column - first_column; }
    /// Values that an output of a group sees.
    size_t values(size_t channels) const { return rows() * columns() * channels; }
};
static_assert(sizeof(DirectTaps) <= 64, "packed weights begin with it");

inline DirectTaps direct_int8_taps(const ConvSpec& spec, const float* weight) {
    const size_t kernel = spec.kernel, taps = kernel * kernel;
    const auto middle = static_cast<uint32_t>(kernel / 2);
    DirectTaps found{middle, middle + 1, middle, middle + 1};
    for (size_t i = 0; i < spec.weight_count(); ++i) {
        const auto row = static_cast<uint32_t>(i % taps / kernel), column = static_cast<uint32_t>(i % kernel);
        if (static_cast<int32_t>(weight[i]) != 0) {
            found.first_row = row < found.first_row ? row : found.first_row;
            found.end_row = row < found.end_row ? found.end_row : row + 1;
            found.first_column = column < found.first_column ? column : found.first_column;
            found.end_column = column < found.end_column ? found.end_column : column + 1;
        }
    }
    return found;
}

inline size_t direct_int8_values(const ConvArgs& args) {
    return args.kernel * args.kernel * args.input.channels / args.groups;
}

/// Bytes of a group's weights if no tap is left out.
inline size_t direct_int8_group_bytes(size_t outputs, size_t values) {
    return int8_round_up(int8_packed_bytes(outputs, values), 64);
}

size_t direct_int8_packed_size(const ConvSpec& spec) {
    const size_t k = spec.weight_count() / spec.out_channels, n = spec.out_channels / spec.groups;
    return 64 + spec.groups * direct_int8_group_bytes(n, k);
}

/// The taps, in 64 bytes, then a group's weights after the other's.
void direct_int8_pack(const ConvSpec& spec, const float* weight, void* packed) {
    const size_t taps = spec.kernel * spec.kernel, channels = spec.in_channels / spec.groups;
    const size_t n = spec.out_channels / spec.groups;
    const DirectTaps found = direct_int8_taps(spec, weight);
    std::memset(packed, 0, 64);
    std::memcpy(packed, &found, sizeof(found));
    packed = static_cast<char*>(packed) + 64;
    const size_t run = found.columns() * channels;
    for (size_t group = 0; group < spec.groups; ++group, weight += n * channels * taps) {
        int8_pack(n, found.values(channels), packed, [&](size_t column, size_t i) {
            const size_t row = found.first_row + i / run, at = found.first_column + i % run / channels;
            return weight[(column * channels + i % channels) * taps + row * spec.kernel + at];
        });
        packed = static_cast<char*>(packed) + direct_int8_group_bytes(n, taps * channels);
    }
}

size_t direct_int8_scratch(const ConvArgs& args) {
    // Fewer taps make blocks of more rows.
    const size_t k = direct_int8_values(args), least = int8_block_bytes(k);
    return least < kInt8BlockBytes + 64 ? kInt8BlockBytes + 64 : least;
}

/// `pixels` pixels of the border, as dot() takes them.
inline void direct_int8_border(const ConvArgs& args, size_t pixels, CopiedByte* to) {
    const size_t channels = args.input.channels;
    const auto outside = static_cast<CopiedByte>(args.input.quantisation.zero + kByteShift);
    for (size_t i = 0; i < pixels * channels; ++i) {
        to[i] = args.border == nullptr ? outside
                                       : static_cast<CopiedByte>(args.border[i % channels] + kByteShift);
    }
}

/// Copies what the output at (y, x) sees.
inline void direct_int8_copy(const ConvArgs& args, const DirectTaps& taps, const Map<const int8_t>& input,
                             size_t y, size_t x, CopiedByte* to) {
    const size_t channels = input.channels, pad = args.kernel / 2, row_values = taps.columns() * channels;
    const size_t left = x * args.stride + taps.first_column;
    const bool interior = left >= pad && left - pad + taps.columns() <= input.width;
    for (size_t ky = taps.first_row; ky < taps.end_row; ++ky, to += row_values) {
        const size_t iy = y * args.stride + ky - pad;  // wraps when outside
        if (iy >= input.height) {
            direct_int8_border(args, taps.columns(), to);
        } else if (interior && input.ld == channels) {
            copy_bytes(input.pixel(iy * input.width + left - pad), row_values, to);
        } else {
            for (size_t kx = 0; kx < taps.columns(); ++kx) {
                const size_t ix = left + kx - pad;
                if (ix < input.width) {
                    copy_bytes(input.pixel(iy * input.width + ix), channels, to + kx * channels);
                } else {
                    direct_int8_border(args, 1, to + kx * channels);
                }
            }
        }
    }
}

/// Channels of a group as tensors and arrays of their own.
inline ConvArgs direct_int8_group(const ConvArgs& args, size_t group) {
    const size_t in = args.input.channels / args.groups, out = args.output.channels / args.groups;
    const auto moved = [](Tensor tensor, size_t first, size_t channels) {
        if (tensor.data != nullptr) {
            tensor.data = static_cast<char*>(tensor.data) + first * size_of(tensor.dtype);
        }
        tensor.channels = channels;
        return tensor;
    };
    ConvArgs one = args;
    one.input = moved(args.input, group * in, in);
    one.output = moved(args.output, group * out, out);
    one.epilogue.residual = moved(args.epilogue.residual, group * out, out);
    one.packed = static_cast<const char*>(args.packed) + 64 +
                 group * direct_int8_group_bytes(out, direct_int8_values(args));
    one.requantisation.offset += group * out;
    one.requantisation.scale += group * out;
    one.requantisation.shift += group * out;
    return one;
}

void direct_int8_run(const ConvArgs& args, size_t begin, size_t end, void* scratch) {
    DirectTaps taps;
    std::memcpy(&taps, args.packed, sizeof(taps));
    const size_t width = args.output.width, k = taps.values(args.input.channels / args.groups);
    for (size_t group = 0; group < args.groups; ++group) {
        const ConvArgs one = direct_int8_group(args, group);
        const Map<const int8_t> input(one.input);
        const auto copy = [&](size_t pixel, CopiedByte* to) {
            direct_int8_copy(one, taps, input, pixel / width, pixel % width, to);
        };
        if (args.output_ring.slots == SIZE_MAX) {
            int8_products(one, k, begin * width, end * width, scratch, copy);
            continue;
        }
        for (size_t y = begin; y < end; ++y) {
            ConvArgs row = one;
            const size_t above = (y - args.output_ring.slot(y)) * width * args.output.stride;
            row.output.data = static_cast<char*>(one.output.data) - above;
            int8_products(row, k, y * width, (y + 1) * width, scratch, copy);
        }
    }
}

constexpr ConvKernels kConvDirectInt8 = {
    direct_int8_packed_size, direct_int8_pack, direct_int8_scratch, output_rows, direct_int8_run, 1};

}  // namespace
}  // namespace mobileinst
