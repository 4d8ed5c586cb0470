#pragma once

// Dense convolutions of 8-bit integers from copied rows of the input: of each kernel row, what an output sees
// lies there side by side, so that nothing is copied for each output. Convolutions in groups are those of
// conv_direct/int8.h.
//
// Packed weights: the taps, in 64 bytes, then panels as of matrix products, with each kernel row's values
// filled up to a multiple of kInt8Depth.

#include "kernels/conv_direct/int8.h"

namespace mobileinst {
namespace {

/// Kernel rows of what is computed from strips.
constexpr size_t kMostStripRows = 15;

template <typename Conv>
inline bool takes_strips(const Conv& conv) {
    return conv.groups == 1 && conv.kernel <= kMostStripRows;
}

inline size_t direct_strip_part(size_t columns, size_t channels) {
    return int8_round_up(columns * channels, kInt8Depth);
}

size_t direct_strips_packed_size(const ConvSpec& spec) {
    if (!takes_strips(spec)) {
        return direct_int8_packed_size(spec);
    }
    return 64 + int8_packed_bytes(spec.out_channels,
                                  spec.kernel * direct_strip_part(spec.kernel, spec.in_channels));
}

void direct_strips_pack(const ConvSpec& spec, const float* weight, void* packed) {
    if (!takes_strips(spec)) {
        return direct_int8_pack(spec, weight, packed);
    }
    const size_t kernel = spec.kernel, channels = spec.in_channels;
    const DirectTaps taps = direct_int8_taps(spec, weight);
    std::memset(packed, 0, 64);
    std::memcpy(packed, &taps, sizeof(taps));
    const size_t used = taps.columns() * channels, part = direct_strip_part(taps.columns(), channels);
    int8_pack(spec.out_channels, taps.rows() * part, static_cast<char*>(packed) + 64,
              [&](size_t column, size_t i) {
                  const size_t at = i % part, row = taps.first_row + i / part;
                  return at < used ? weight[((column * channels + at % channels) * kernel + row) * kernel +
                                            taps.first_column + at / channels]
                                   : 0.0f;
              });
}

/// Copied rows of the input in a ring, with the border on both sides.
struct DirectRows {
    const ConvArgs& args;
    DirectTaps taps;
    CopiedByte* data;

    /// Values of a row, of which tiles read some that count for nothing: behind the last output, and up to
    /// kInt8Depth behind a part.
    static size_t pitch(const ConvArgs& args) {
        const size_t outputs = int8_round_up(args.output.width, kInt8RowStep);
        const size_t columns = args.input.width + outputs * args.stride + 3 * args.kernel;
        return int8_round_up(columns * args.input.channels + 128, 64);
    }

    CopiedByte* slot(size_t row) const { return data + row % taps.rows() * pitch(args); }

    /// Copies the row that the first kernel row of output row 0 would see if it lay `row` rows below.
    void fill(size_t row) const {
        const Map<const int8_t> input(args.input);
        const size_t pad = args.kernel / 2, channels = input.channels, left = pad - taps.first_column;
        const size_t y = row + taps.first_row - pad;  // wraps when outside
        CopiedByte* to = slot(row);
        if (y >= input.height) {
            return direct_int8_border(args, left + input.width + taps.columns(), to);
        }
        direct_int8_border(args, left, to);
        to += left * channels;
        if (input.ld == channels) {
            copy_bytes(input.pixel(y * input.width), input.width * channels, to);
        } else {
            for (size_t x = 0; x < input.width; ++x) {
                copy_bytes(input.pixel(y * input.width + x), channels, to + x * channels);
            }
        }
        direct_int8_border(args, taps.columns(), to + input.width * channels);
    }
};

size_t direct_strips_scratch(const ConvArgs& args) {
    return takes_strips(args) ? args.kernel * DirectRows::pitch(args) * sizeof(CopiedByte)
                              : direct_int8_scratch(args);
}

/// The outputs of a row of a panel's channels.
template <Int8Mode MODE, int VECTORS>
void direct_strip_tiles(size_t vectors, Int8Parts parts, const CopiedWeight* panel, const Int8Target& target,
                        size_t pixel) {
    if constexpr (VECTORS > kInt8LeastVectors) {
        if (vectors < VECTORS) {
            return direct_strip_tiles<MODE, VECTORS - 1>(vectors, parts, panel, target, pixel);
        }
    }
    constexpr size_t kRows = kInt8Rows<VECTORS>;
    const size_t width = target.args.output.width;
    for (size_t x = 0; x < width; x += kRows) {
        parts.offset = x * parts.step;
        int8_tile<MODE, VECTORS>(parts, panel, width - x, target, pixel + x);
    }
}

template <Int8Mode MODE>
void direct_strip_row(const DirectRows& rows, const ConvArgs& args, const ByteTable& table, size_t y) {
    const size_t n = args.output.channels, channels = args.input.channels;
    const CopiedByte* begins[kMostStripRows];
    for (size_t ky = 0; ky < rows.taps.rows(); ++ky) {
        begins[ky] = rows.slot(y * args.stride + ky);
    }
    const Int8Parts parts{begins, 0, rows.taps.rows(), direct_strip_part(rows.taps.columns(), channels),
                          args.stride * channels};
    const auto* start = reinterpret_cast<const int32_t*>(static_cast<const char*>(args.packed) + 64);
    const auto* panel = reinterpret_cast<const CopiedWeight*>(start + int8_round_up(n, kInt8Panel));
    for (size_t first = 0; first < n; first += kInt8Panel) {
        const size_t vectors = int8_vectors(n, first);
        const Int8Target target{args, table, start, first, int8_smaller(kInt8Panel, n - first)};
        direct_strip_tiles<MODE, static_cast<int>(kInt8PanelVectors)>(vectors, parts, panel, target,
                                                                      y * args.output.width);
        panel += vectors * kInt8Columns * parts.count * parts.length;
    }
}

template <Int8Mode MODE>
void direct_strip_rows(const ConvArgs& args, size_t begin, size_t end, void* scratch) {
    DirectRows rows{args, {}, static_cast<CopiedByte*>(scratch)};
    std::memcpy(&rows.taps, args.packed, sizeof(rows.taps));
    const ByteTable table(args.requantisation.table);
    size_t filled = begin * args.stride;
    for (size_t y = begin; y < end; ++y) {
        const size_t first = y * args.stride;
        for (filled = filled < first ? first : filled; filled < first + rows.taps.rows(); ++filled) {
            rows.fill(filled);
        }
        ConvArgs row = args;
        if (args.output_ring.slots != SIZE_MAX) {
            const size_t above = (y - args.output_ring.slot(y)) * args.output.width * args.output.stride;
            row.output.data = static_cast<char*>(args.output.data) - above;
        }
        direct_strip_row<MODE>(rows, row, table, y);
    }
}

void direct_strips_run(const ConvArgs& args, size_t begin, size_t end, void* scratch) {
    if (!takes_strips(args)) {
        return direct_int8_run(args, begin, end, scratch);
    }
    int8_in_mode(args, [&](auto mode) { direct_strip_rows<mode.value>(args, begin, end, scratch); });
}

constexpr ConvKernels kConvDirectInt8Strips = {
    direct_strips_packed_size, direct_strips_pack, direct_strips_scratch, output_rows, direct_strips_run, 1};

}  // namespace
}  // namespace mobileinst
