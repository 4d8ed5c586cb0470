#pragma once

// Depthwise convolution of 8-bit integers: bytes of four neighbouring pixels are interleaved, so that each
// 32-bit sum has four taps of one channel beside each other. Input rows are copied as dot() takes them, with
// a border of what stands for 0, as many as the kernel is high, into a ring.
//
// A vector of bytes holds as many channels of a pixel, or, where it has 64, also two or four pixels of maps
// with 32 or 16 channels. Packed weights: the sums of each channel's integers times -kByteShift, then for
// each vector of channels (or less, repeated) kernel row, group of four pixels, output of the group and
// vector (in lane order) the four taps; at last the weights as they are, for kernels that have no loop.

#include <cstring>

#include "kernels/convolution/int8_ref.h"
#if defined(__aarch64__)
#include "simd/bytes_neon_dot.h"
#else
#include "simd/bytes_avx512_vnni.h"
#endif

namespace mobileinst {
namespace {

/// Bytes of a vector, and the sums that they make.
constexpr size_t kStrip = Bytes::kWidth, kStripSums = kStrip / 4;

/// Where the channel at position i of four vectors of sums, one after the other, lies among those of a vector
/// of bytes: each lane of 16 bytes has four channels in each.
inline constexpr size_t lane_order(size_t i) { return i % kStripSums / 4 * 16 + i / kStripSums * 4 + i % 4; }

/// Channels of a vector that hold different values: 16 or 32 where a map has no more.
inline size_t strip_period(size_t channels) {
    return kStrip == 64 && (channels == 16 || channels == 32) ? channels : kStrip;
}

/// Offset, scale and shift of a vector's channels, in lane order.
struct LaneChannels {
    int32_t offset[kStrip];
    float scale[kStrip], shift[kStrip];
};

/// Those of the channels from `first` on, repeated after `period`; `own` is added to offsets.
inline void fill_lanes(const Requantisation& to, const int32_t* own, size_t first, size_t period,
                       size_t channels, LaneChannels& lanes) {
    for (size_t i = 0; i < kStrip; ++i) {
        const size_t channel = first + lane_order(i) % period;
        const bool inside = channel < channels;
        lanes.offset[i] = inside ? to.offset[channel] + own[channel] : 0;
        lanes.scale[i] = inside ? to.scale[channel] : 0.0f;
        lanes.shift[i] = inside ? to.shift[channel] : 0.0f;
    }
}

/// Outputs that one loading of pixels serves: neighbours, where a vector holds one pixel and the stride is 1.
inline size_t strip_outputs(size_t channels, size_t stride) {
    return stride == 1 && strip_period(channels) == kStrip ? 2 : 1;
}

/// Groups of four pixels that so many outputs see.
inline constexpr size_t strip_groups(size_t kernel, size_t outputs) { return (kernel + outputs - 1 + 3) / 4; }

inline size_t strip_blocks(size_t channels) { return (channels + kStrip - 1) / kStrip; }

/// Bytes of the weights of 64 channels.
inline size_t strip_block_bytes(size_t kernel, size_t outputs) {
    return kernel * strip_groups(kernel, outputs) * outputs * 4 * kStrip;
}

size_t depthwise_int8_packed_size(const ConvSpec& spec) {
    const size_t blocks = strip_blocks(spec.out_channels);
    const size_t outputs = strip_outputs(spec.out_channels, spec.stride);
    return spec.weight_count() +
           blocks * (kStrip * sizeof(int32_t) + strip_block_bytes(spec.kernel, outputs));
}

void depthwise_int8_pack(const ConvSpec& spec, const float* weight, void* packed) {
    const size_t kernel = spec.kernel, channels = spec.out_channels, taps = kernel * kernel;
    const size_t period = strip_period(channels), outputs = strip_outputs(channels, spec.stride);
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
                        const size_t channel = first + lane_order(i / 4) % period;
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

/// A vector of every STRIDE-th pixel from `p` on, of which it holds PIXELS.
template <int STRIDE, int PIXELS>
inline __attribute__((always_inline)) Bytes strip_load(const uint8_t* p) {
    if constexpr (STRIDE == 1 || PIXELS == 1) {
        return Bytes::load(p);
    } else {
        return load_every_second<PIXELS>(p);
    }
}

/// The sums of a vector of channels (or pixels of channels) at `offset` in each of the copied rows.
template <int KERNEL, int STRIDE, int PIXELS, int OUTPUTS>
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
            interleave(strip_load<STRIDE, PIXELS>(p), strip_load<STRIDE, PIXELS>(p + pixel_bytes),
                       strip_load<STRIDE, PIXELS>(p + 2 * pixel_bytes),
                       strip_load<STRIDE, PIXELS>(p + 3 * pixel_bytes), taps);
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

/// Where a vector's sums go: `count` values beginning at channel `first` of an output pixel, and on over the
/// next.
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
        const Map<int8_t> output(args.output);
        int8_t* y = output.pixel(pixel) + first;
        if (count <= args.output.channels || output.ld == output.channels) {
            return bytes.store_first(y, count);
        }
        alignas(64) int8_t values[kStrip];
        bytes.store(values);
        for (size_t done = 0; done < count; done += output.channels, y += output.ld) {
            std::memcpy(y, values + done, output.channels);
        }
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
                const size_t channel = (first + at) % args.output.channels;
                const size_t next = (first + at) / args.output.channels;
                store_requantised(args, values[i] - args.requantisation.offset[channel], pixel + next,
                                  channel);
            }
        }
    }
};

/// A row of outputs.
template <int KERNEL, int STRIDE, int PIXELS>
void strip_row(const StripTarget& target, const StripRows& copied, size_t y, const LaneChannels* lanes) {
    constexpr int kOutputs = STRIDE == 1 && PIXELS == 1 ? 2 : 1;
    const ConvArgs& args = target.args;
    const size_t channels = args.output.channels, width = args.output.width;
    const auto* start = static_cast<const int32_t*>(args.packed);
    const auto* weights = reinterpret_cast<const int8_t*>(start + strip_blocks(channels) * kStrip);
    const uint8_t* rows[KERNEL];
    for (size_t ky = 0; ky < KERNEL; ++ky) {
        rows[ky] = copied.slot(y * STRIDE + ky);
    }
    for (size_t first = 0; first < channels; first += kStrip, ++lanes) {
        for (size_t x = 0; x < width; x += PIXELS * kOutputs) {
            Sums sums[kOutputs][4];
            strip_sums<KERNEL, STRIDE, PIXELS, kOutputs>(rows, x * STRIDE * channels + first, channels,
                                                         weights, *lanes, sums);
            for (size_t o = 0; o < kOutputs && x + o < width; ++o) {
                const size_t pixels = PIXELS == 1 ? 1 : (width - x < PIXELS ? width - x : PIXELS);
                const size_t left = channels - first;
                const size_t count = PIXELS == 1 ? (left < kStrip ? left : kStrip) : pixels * channels;
                target.store(sums[o], *lanes, y * width + x + o, first, count);
            }
        }
        weights += strip_block_bytes(KERNEL, kOutputs);
    }
}

size_t depthwise_int8_scratch(const ConvArgs& args) {
    return args.kernel * StripRows::bytes(args) + strip_blocks(args.input.channels) * sizeof(LaneChannels) +
           64;
}

template <int KERNEL, int STRIDE, int PIXELS>
void strip_rows(const ConvArgs& args, size_t begin, size_t end, void* scratch) {
    const StripRows copied(args, scratch);
    const size_t channels = args.output.channels, period = strip_period(channels);
    auto* lanes = reinterpret_cast<LaneChannels*>(static_cast<uint8_t*>(scratch) + KERNEL * copied.pitch);
    for (size_t i = 0; i < strip_blocks(channels); ++i) {
        fill_lanes(args.requantisation, static_cast<const int32_t*>(args.packed), i * kStrip, period,
                   channels, lanes[i]);
    }
    const ByteTable table(args.requantisation.table);
    const bool direct = args.output.dtype == DType::Int8 && args.epilogue.residual.data == nullptr;
    const StripTarget target{args, table, direct};
    size_t filled = begin * STRIDE;
    for (size_t y = begin; y < end; ++y) {
        for (; filled < y * STRIDE + KERNEL; ++filled) {
            copied.fill(args, filled);
        }
        strip_row<KERNEL, STRIDE, PIXELS>(target, copied, y, lanes);
    }
}

template <int KERNEL, int STRIDE>
void strip_rows_of(const ConvArgs& args, size_t begin, size_t end, void* scratch) {
    if constexpr (kStrip == 64) {
        switch (kStrip / strip_period(args.output.channels)) {
            case 4:
                return strip_rows<KERNEL, STRIDE, 4>(args, begin, end, scratch);
            case 2:
                return strip_rows<KERNEL, STRIDE, 2>(args, begin, end, scratch);
            default:
                break;
        }
    }
    strip_rows<KERNEL, STRIDE, 1>(args, begin, end, scratch);
}

/// Kernels of another size or stride, one sum at a time.
void strip_rows_of_any(const ConvArgs& args, size_t begin, size_t end, void* scratch) {
    const size_t channels = args.output.channels, blocks = strip_blocks(channels);
    const size_t outputs = strip_outputs(channels, args.stride);
    ConvArgs plain = args;
    plain.packed = static_cast<const char*>(args.packed) +
                   blocks * (kStrip * sizeof(int32_t) + strip_block_bytes(args.kernel, outputs));
    conv_int8_rows_ref(plain, begin, end, scratch);
}

void depthwise_int8_run(const ConvArgs& args, size_t begin, size_t end, void* scratch) {
    if (args.kernel == 3 && args.stride == 1) {
        strip_rows_of<3, 1>(args, begin, end, scratch);
    } else if (args.kernel == 3 && args.stride == 2) {
        strip_rows_of<3, 2>(args, begin, end, scratch);
    } else if (args.kernel == 5 && args.stride == 1) {
        strip_rows_of<5, 1>(args, begin, end, scratch);
    } else if (args.kernel == 5 && args.stride == 2) {
        strip_rows_of<5, 2>(args, begin, end, scratch);
    } else {
        strip_rows_of_any(args, begin, end, scratch);
    }
}

constexpr ConvKernels kDepthwiseInt8 = {depthwise_int8_packed_size, depthwise_int8_pack,
                                        depthwise_int8_scratch,     output_rows,
                                        depthwise_int8_run,         1};

}  // namespace
}  // namespace mobileinst
