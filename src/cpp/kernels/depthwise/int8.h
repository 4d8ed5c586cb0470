#pragma once

// Depthwise convolution of 8-bit integers: bytes of four neighbouring pixels are interleaved, so that each
// 32-bit sum has four taps of one channel beside each other. Input rows are copied as dot() takes them, with
// a border of what stands for 0, as many as the kernel is high, into a ring.
//
// Packed weights: the sums of each channel's integers times -kByteShift, then for each vector of channels
// kernel row, group of four pixels, output of the group and vector (in lane order) the four taps; at last the
// weights as they are, for kernels that have no loop.

#include <cstring>

#include "kernels/convolution/int8_ref.h"
#include "simd/bytes.h"

namespace mobileinst {
namespace {

/// Bytes of a vector, and the sums that they make.
constexpr size_t kStrip = Bytes::kWidth, kStripSums = kStrip / 4;

/// Where the channel at position i of four vectors of sums, one after the other, lies among those of a vector
/// of bytes: each lane of 16 bytes has four channels in each.
inline constexpr size_t lane_order(size_t i) { return i % kStripSums / 4 * 16 + i / kStripSums * 4 + i % 4; }

/// Offset, scale and shift of a vector's channels, in lane order.
struct LaneChannels {
    int32_t offset[kStrip];
    float scale[kStrip], shift[kStrip];
};

/// Those of the channels from `first` on; `own` is added to offsets.
inline void fill_lanes(const Requantisation& to, const int32_t* own, size_t first, size_t channels,
                       LaneChannels& lanes) {
    for (size_t i = 0; i < kStrip; ++i) {
        const size_t channel = first + lane_order(i);
        const bool inside = channel < channels;
        lanes.offset[i] = inside ? to.offset[channel] + own[channel] : 0;
        lanes.scale[i] = inside ? to.scale[channel] : 0.0f;
        lanes.shift[i] = inside ? to.shift[channel] : 0.0f;
    }
}

/// Neighbouring outputs that one loading of pixels serves.
inline constexpr size_t strip_outputs(size_t stride) { return stride == 1 ? 2 : 1; }

/// Groups of four pixels that so many outputs see.
inline constexpr size_t strip_groups(size_t kernel, size_t outputs) { return (kernel + outputs - 1 + 3) / 4; }

inline size_t strip_blocks(size_t channels) { return (channels + kStrip - 1) / kStrip; }

/// Bytes of the weights of 64 channels.
inline size_t strip_block_bytes(size_t kernel, size_t outputs) {
    return kernel * strip_groups(kernel, outputs) * outputs * 4 * kStrip;
}

size_t depthwise_int8_packed_size(const ConvSpec& spec) {
    const size_t blocks = strip_blocks(spec.out_channels);
    const size_t outputs = strip_outputs(spec.stride);
    return spec.weight_count() +
           blocks * (kStrip * sizeof(int32_t) + strip_block_bytes(spec.kernel, outputs));
}

void depthwise_int8_pack(const ConvSpec& spec, const float* weight, void* packed) {
    const size_t kernel = spec.kernel, channels = spec.out_channels, taps = kernel * kernel;
    const size_t outputs = strip_outputs(spec.stride);
    auto* start = static_cast<int32_t*>(packed);
    for (size_t channel = 0; channel < strip_blocks(channels) * kStrip; ++channel) {
        int32_t sum = 0;
        for (size_t tap = 0; channel < channels && tap < taps; ++tap) {
            sum += static_cast<int32_t>(weight[channel * taps + tap]);
        }
        start[channel] = -kByteShift * sum;
    }
    auto* to = reinterpret_cast<int8_t*>(start + strip_blocks(channels) * kStrip);
    for (size_t first = 0; first < channels; first += kStrip) {
        for (size_t ky = 0; ky < kernel; ++ky) {
            for (size_t group = 0; group < strip_groups(kernel, outputs); ++group) {
                for (size_t output = 0; output < outputs; ++output) {
                    for (size_t i = 0; i < kStrip * 4; ++i) {
                        const size_t channel = first + lane_order(i / 4);
                        const size_t kx = group * 4 + i % 4 - output;  // wraps before the first
                        *to++ = channel < channels && kx < kernel
                                    ? static_cast<int8_t>(weight[(channel * kernel + ky) * kernel + kx])
                                    : int8_t{0};
                    }
                }
            }
        }
    }
    conv_int8_pack_ref(spec, weight, to);
}

/// Copied rows: their pixels, with a border of `pad` on both sides.
struct StripRows {
    uint8_t* data;
    size_t pitch;  // bytes of a row
    size_t pad, channels, width, height, kernel;
    uint8_t outside;

    StripRows(const ConvArgs& args, void* scratch)
        : data(static_cast<uint8_t*>(scratch)),
          pitch(bytes(args)),
          pad(args.kernel / 2),
          channels(args.input.channels),
          width(args.input.width),
          height(args.input.height),
          kernel(args.kernel),
          outside(static_cast<uint8_t>(args.input.quantisation.zero + kByteShift)) {}

    /// Strips read pixels behind the border, which count for nothing: two groups of four, at most eight
    /// pixels on, and whole vectors.
    static size_t bytes(const ConvArgs& args) {
        return ((args.input.width + 2 * args.kernel + 24) * args.input.channels + 128 + 63) / 64 * 64;
    }

    uint8_t* slot(size_t row) const { return data + row % kernel * pitch; }

    /// Copies input row `row - pad`, or the border above and below.
    void fill(const ConvArgs& args, size_t row) const {
        uint8_t* to = slot(row);
        if (row < pad || row - pad >= height) {
            std::memset(to, outside, (width + 2 * pad) * channels);
            return;
        }
        const Map<const int8_t> input(args.input);
        const int8_t* from = input.pixel((row - pad) * width);
        std::memset(to, outside, pad * channels);
        uint8_t* next = to + pad * channels;
        if (input.ld == channels) {
            copy_bytes(from, width * channels, next);
        } else {
            for (size_t x = 0; x < width; ++x) {
                copy_bytes(from + x * input.ld, channels, next + x * channels);
            }
        }
        std::memset(next + width * channels, outside, pad * channels);
    }
};

/// The sums of a vector of channels at `offset` in each of the copied rows.
template <int KERNEL, int OUTPUTS>
inline __attribute__((always_inline)) void strip_sums(const uint8_t* const (&rows)[KERNEL], size_t offset,
                                                      size_t pixel_bytes, const int8_t* weights,
                                                      const LaneChannels& lanes, Sums (&sums)[OUTPUTS][4]) {
    constexpr int kGroups = static_cast<int>(strip_groups(KERNEL, OUTPUTS));
#pragma GCC unroll 4
    for (int j = 0; j < 4; ++j) {
#pragma GCC unroll 2
        for (int o = 0; o < OUTPUTS; ++o) {
            sums[o][j] = Sums::load(lanes.offset + static_cast<size_t>(j) * kStripSums);
        }
    }
#pragma GCC unroll 5
    for (int ky = 0; ky < KERNEL; ++ky) {
#pragma GCC unroll 2
        for (int g = 0; g < kGroups; ++g) {
            const uint8_t* p = rows[ky] + offset + static_cast<size_t>(g) * 4 * pixel_bytes;
            Bytes taps[4];
            interleave(Bytes::load(p), Bytes::load(p + pixel_bytes), Bytes::load(p + 2 * pixel_bytes),
                       Bytes::load(p + 3 * pixel_bytes), taps);
#pragma GCC unroll 2
            for (int o = 0; o < OUTPUTS; ++o) {
#pragma GCC unroll 4
                for (int j = 0; j < 4; ++j) {
                    const Bytes w = Bytes::load(weights + static_cast<size_t>(o * 4 + j) * kStrip);
                    sums[o][j] = dot(sums[o][j], taps[j], w);
                }
            }
            weights += static_cast<size_t>(OUTPUTS) * 4 * kStrip;
        }
    }
}

/// Where a vector's sums go: `count` channels from `first` on of an output pixel.
struct StripTarget {
    const ConvArgs& args;
    const ByteTable& table;
    bool direct;  // integers without residual

    inline __attribute__((always_inline)) void store(const Sums (&sums)[4], const LaneChannels& lanes,
                                                     size_t pixel, size_t first, size_t count) const {
        if (!direct) {
            return store_one_by_one(sums, pixel, first, count);
        }
        Floats v[4];
#pragma GCC unroll 4
        for (int j = 0; j < 4; ++j) {
            const size_t at = static_cast<size_t>(j) * kStripSums;
            v[j] = scaled(sums[j], lanes.scale + at, lanes.shift + at);
        }
        const Bytes bytes = args.requantisation.table != nullptr ? table.of(v) : rounded(v);
        bytes.store_first(Map<int8_t>(args.output).pixel(pixel) + first, count);
    }

  private:
    void store_one_by_one(const Sums (&sums)[4], size_t pixel, size_t first, size_t count) const {
        alignas(64) int32_t values[kStrip];
        for (int j = 0; j < 4; ++j) {
            sums[j].store(values + static_cast<size_t>(j) * kStripSums);
        }
        for (size_t i = 0; i < kStrip; ++i) {
            const size_t at = lane_order(i);
            if (at < count) {
                const size_t channel = first + at;
                store_requantised(args, values[i] - args.requantisation.offset[channel], pixel, channel);
            }
        }
    }
};

/// A row of outputs.
template <int KERNEL, int STRIDE>
void strip_row(const StripTarget& target, const StripRows& copied, size_t y, const LaneChannels* lanes) {
    constexpr auto kOutputs = static_cast<int>(strip_outputs(STRIDE));
    const ConvArgs& args = target.args;
    const size_t channels = args.output.channels, width = args.output.width;
    const auto* start = static_cast<const int32_t*>(args.packed);
    const auto* weights = reinterpret_cast<const int8_t*>(start + strip_blocks(channels) * kStrip);
    const uint8_t* rows[KERNEL];
    for (size_t ky = 0; ky < KERNEL; ++ky) {
        rows[ky] = copied.slot(y * STRIDE + ky);
    }
    for (size_t first = 0; first < channels; first += kStrip, ++lanes) {
        for (size_t x = 0; x < width; x += kOutputs) {
            Sums sums[kOutputs][4];
            strip_sums<KERNEL, kOutputs>(rows, x * STRIDE * channels + first, channels, weights, *lanes,
                                         sums);
            for (size_t o = 0; o < kOutputs && x + o < width; ++o) {
                const size_t left = channels - first;
                target.store(sums[o], *lanes, y * width + x + o, first, left < kStrip ? left : kStrip);
            }
        }
        weights += strip_block_bytes(KERNEL, kOutputs);
    }
}

size_t depthwise_int8_scratch(const ConvArgs& args) {
    return args.kernel * StripRows::bytes(args) + strip_blocks(args.input.channels) * sizeof(LaneChannels) +
           64;
}

template <int KERNEL, int STRIDE>
void strip_rows(const ConvArgs& args, size_t begin, size_t end, void* scratch) {
    const StripRows copied(args, scratch);
    const size_t channels = args.output.channels;
    auto* lanes = reinterpret_cast<LaneChannels*>(static_cast<uint8_t*>(scratch) + KERNEL * copied.pitch);
    for (size_t i = 0; i < strip_blocks(channels); ++i) {
        fill_lanes(args.requantisation, static_cast<const int32_t*>(args.packed), i * kStrip, channels,
                   lanes[i]);
    }
    const ByteTable table(args.requantisation.table);
    const bool direct = args.output.dtype == DType::Int8 && args.epilogue.residual.data == nullptr;
    const StripTarget target{args, table, direct};
    size_t filled = begin * STRIDE;
    for (size_t y = begin; y < end; ++y) {
        for (; filled < y * STRIDE + KERNEL; ++filled) {
            copied.fill(args, filled);
        }
        strip_row<KERNEL, STRIDE>(target, copied, y, lanes);
    }
}

/// Kernels of another size or stride, one sum at a time.
void strip_rows_of_any(const ConvArgs& args, size_t begin, size_t end, void* scratch) {
    const size_t channels = args.output.channels, blocks = strip_blocks(channels);
    const size_t outputs = strip_outputs(args.stride);
    ConvArgs plain = args;
    plain.packed = static_cast<const char*>(args.packed) +
                   blocks * (kStrip * sizeof(int32_t) + strip_block_bytes(args.kernel, outputs));
    conv_int8_rows_ref(plain, begin, end, scratch);
}

void depthwise_int8_run(const ConvArgs& args, size_t begin, size_t end, void* scratch) {
    if (args.kernel == 3 && args.stride == 1) {
        strip_rows<3, 1>(args, begin, end, scratch);
    } else if (args.kernel == 3 && args.stride == 2) {
        strip_rows<3, 2>(args, begin, end, scratch);
    } else if (args.kernel == 5 && args.stride == 1) {
        strip_rows<5, 1>(args, begin, end, scratch);
    } else if (args.kernel == 5 && args.stride == 2) {
        strip_rows<5, 2>(args, begin, end, scratch);
    } else {
        strip_rows_of_any(args, begin, end, scratch);
    }
}

constexpr ConvKernels kDepthwiseInt8 = {depthwise_int8_packed_size, depthwise_int8_pack,
                                        depthwise_int8_scratch,     output_rows,
                                        depthwise_int8_run,         1};

}  // namespace
}  // namespace mobileinst
