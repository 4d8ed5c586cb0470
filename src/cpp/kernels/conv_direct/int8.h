#pragma once

// Any dense convolution of 8-bit integers as a matrix product: the values that an output sees are copied one
// after the other, by kernel row, kernel column and channel.

#include "kernels/gemm/int8.h"

namespace mobileinst {
namespace {

inline size_t direct_int8_values(const ConvArgs& args) {
    return args.kernel * args.kernel * args.input.channels / args.groups;
}

size_t direct_int8_packed_size(const ConvSpec& spec) {
    const size_t k = spec.weight_count() / spec.out_channels, n = spec.out_channels / spec.groups;
    return spec.groups * int8_round_up(int8_packed_bytes(n, k), 64);
}

/// A group's weights after the other's.
void direct_int8_pack(const ConvSpec& spec, const float* weight, void* packed) {
    const size_t taps = spec.kernel * spec.kernel, channels = spec.in_channels / spec.groups;
    const size_t n = spec.out_channels / spec.groups;
    for (size_t group = 0; group < spec.groups; ++group, weight += n * channels * taps) {
        int8_pack(n, taps * channels, packed, [&](size_t column, size_t i) {
            return weight[(column * channels + i % channels) * taps + i / channels];
        });
        packed = static_cast<char*>(packed) + int8_round_up(int8_packed_bytes(n, taps * channels), 64);
    }
}

size_t direct_int8_scratch(const ConvArgs& args) { return int8_block_bytes(direct_int8_values(args)); }

/// Copies what the output at (y, x) sees; outside the image lies the integer that stands for 0.
inline void direct_int8_copy(const ConvArgs& args, const Map<const int8_t>& input, size_t y, size_t x,
                             uint8_t* to) {
    const size_t channels = input.channels, pad = args.kernel / 2, row_bytes = args.kernel * channels;
    const auto outside = static_cast<uint8_t>(args.input.quantisation.zero + kByteShift);
    const size_t left = x * args.stride;
    const bool interior = left >= pad && left - pad + args.kernel <= input.width;
    for (size_t ky = 0; ky < args.kernel; ++ky, to += row_bytes) {
        const size_t iy = y * args.stride + ky - pad;  // wraps when outside
        if (iy >= input.height) {
            std::memset(to, outside, row_bytes);
        } else if (interior && input.ld == channels) {
            copy_bytes(input.pixel(iy * input.width + left - pad), row_bytes, to);
        } else {
            for (size_t kx = 0; kx < args.kernel; ++kx) {
                const size_t ix = left + kx - pad;
                if (ix < input.width) {
                    copy_bytes(input.pixel(iy * input.width + ix), channels, to + kx * channels);
                } else {
                    std::memset(to + kx * channels, outside, channels);
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
    one.packed = static_cast<const char*>(args.packed) +
                 group * int8_round_up(int8_packed_bytes(out, direct_int8_values(args)), 64);
    one.requantisation.offset += group * out;
    one.requantisation.scale += group * out;
    one.requantisation.shift += group * out;
    return one;
}

void direct_int8_run(const ConvArgs& args, size_t begin, size_t end, void* scratch) {
    const size_t width = args.output.width, k = direct_int8_values(args);
    for (size_t group = 0; group < args.groups; ++group) {
        const ConvArgs one = direct_int8_group(args, group);
        const Map<const int8_t> input(one.input);
        int8_products(one, k, begin * width, end * width, scratch, [&](size_t pixel, uint8_t* to) {
            direct_int8_copy(one, input, pixel / width, pixel % width, to);
        });
    }
}

constexpr ConvKernels kConvDirectInt8 = {
    direct_int8_packed_size, direct_int8_pack, direct_int8_scratch, output_rows, direct_int8_run, 1};

}  // namespace
}  // namespace mobileinst
