#pragma once

// Direct convolution on vectors of output channels. Include after core/finish.inl.h and the constants
//   kPixels        output pixels per tile
//   kPanelVectors  vectors of output channels per tile
//
// Packed weights: per group, panels of kPanelVectors vectors of output channels (the last one fewer), each
// (kernel, kernel, in channels of the group, panel channels).

#include "kernels/conv_direct/conv_direct.h"

namespace mobileinst {
namespace {

constexpr size_t kPanelChannels = kPanelVectors * Vec::kWidth;

/// Output channels that the panel beginning at `channel` of a group holds, zeros included.
inline size_t direct_panel(size_t group_out, size_t channel) {
    return smaller(kPanelChannels, round_up(group_out - channel, Vec::kWidth));
}

size_t direct_packed_size(size_t in_channels, size_t out_channels, size_t kernel, size_t groups) {
    return kernel * kernel * in_channels * round_up(out_channels / groups, Vec::kWidth);
}

void direct_pack(const float* weight, size_t in_channels, size_t out_channels, size_t kernel, size_t groups,
                 float* packed) {
    const size_t group_in = in_channels / groups, group_out = out_channels / groups, taps = kernel * kernel;
    for (size_t group = 0; group < groups; ++group, weight += group_out * group_in * taps) {
        for (size_t first = 0; first < group_out; first += kPanelChannels) {
            const size_t columns = direct_panel(group_out, first);
            for (size_t i = 0; i < taps * group_in; ++i) {
                const size_t tap = i / group_in, c = i % group_in;
                for (size_t j = 0; j < columns; ++j) {
                    *packed++ =
                        first + j < group_out ? weight[((first + j) * group_in + c) * taps + tap] : 0.0f;
                }
            }
        }
    }
}

/// One panel of one group in one output row.
struct DirectRow {
    const ConvDirectArgs& args;
    const Finish& finish;
    const float* input;         // row of kernel row `first_row`, first channel of the group
    const float* panel;         // weights of kernel row `first_row`
    size_t first_row, end_row;  // kernel rows inside the image
    size_t y, group_in;
    size_t channel, count;  // first output channel, output channels of the panel that exist
};

/// PIXELS outputs beginning at x, with kernel columns [first, end), for the channels of a panel.
template <int PIXELS, int VECTORS>
void direct_tile(const DirectRow& row, size_t x, size_t first, size_t end) {
    const ConvDirectArgs& args = row.args;
    constexpr size_t kColumns = VECTORS * Vec::kWidth;
    Vec acc[PIXELS][VECTORS];
#pragma GCC unroll 4
    for (int v = 0; v < VECTORS; ++v) {
        const Vec bias = row.finish.bias(row.channel + v * Vec::kWidth, row.count - v * Vec::kWidth);
#pragma GCC unroll 16
        for (int p = 0; p < PIXELS; ++p) {
            acc[p][v] = bias;
        }
    }
    const size_t step = args.stride * args.input_ld;
    const float* in = row.input + (x * args.stride + first - args.kernel / 2) * args.input_ld;
    const float* panel = row.panel;
    for (size_t ky = row.first_row; ky < row.end_row; ++ky) {
        const float* w = panel + first * row.group_in * kColumns;
        for (size_t kx = first; kx < end; ++kx) {
            const float* values = in + (kx - first) * args.input_ld;
            for (size_t c = 0; c < row.group_in; ++c, w += kColumns) {
                Vec weights[VECTORS];
#pragma GCC unroll 4
                for (int v = 0; v < VECTORS; ++v) {
                    weights[v] = Vec::load(w + v * Vec::kWidth);
                }
#pragma GCC unroll 16
                for (int p = 0; p < PIXELS; ++p) {
                    const Vec value = Vec::broadcast(values + p * step + c);
#pragma GCC unroll 4
                    for (int v = 0; v < VECTORS; ++v) {
                        acc[p][v] = fma(value, weights[v], acc[p][v]);
                    }
                }
            }
        }
        in += args.width * args.input_ld;
        panel += args.kernel * row.group_in * kColumns;
    }
    const size_t pixel = row.y * args.out_width() + x;
#pragma GCC unroll 16
    for (int p = 0; p < PIXELS; ++p) {
        float* output = args.output + (pixel + p) * args.output_ld + row.channel;
#pragma GCC unroll 4
        for (int v = 0; v < VECTORS; ++v) {
            const size_t done = v * Vec::kWidth;
            row.finish.store(acc[p][v], output + done, pixel + p, row.channel + done, row.count - done);
        }
    }
}

template <int VECTORS>
void direct_panel_row(const DirectRow& row) {
    const ConvDirectArgs& args = row.args;
    const size_t pad = args.kernel / 2, width = args.out_width();
    size_t x = 0;
    while (x < width) {
        const size_t left = x * args.stride;
        const size_t last = left + (kPixels - 1) * args.stride;
        if (left >= pad && x + kPixels <= width && last + pad < args.width) {
            direct_tile<kPixels, VECTORS>(row, x, 0, args.kernel);
            x += kPixels;
        } else {
            const size_t first = left < pad ? pad - left : 0;
            direct_tile<1, VECTORS>(row, x, first, smaller(args.kernel, args.width + pad - left));
            x += 1;
        }
    }
}

void direct_row(const ConvDirectArgs& args, const Finish& finish, size_t y) {
    const size_t pad = args.kernel / 2, top = y * args.stride;
    const size_t first_row = top < pad ? pad - top : 0,
                 end_row = smaller(args.kernel, args.height + pad - top);
    const size_t group_in = args.in_channels / args.groups, group_out = args.out_channels / args.groups;
    const float* packed = args.packed;
    for (size_t group = 0; group < args.groups; ++group) {
        const float* input =
            args.input + (top + first_row - pad) * args.width * args.input_ld + group * group_in;
        for (size_t channel = 0; channel < group_out; channel += kPanelChannels) {
            const size_t columns = direct_panel(group_out, channel);
            const float* panel = packed + first_row * args.kernel * group_in * columns;
            const DirectRow row{args,
                                finish,
                                input,
                                panel,
                                first_row,
                                end_row,
                                y,
                                group_in,
                                group * group_out + channel,
                                smaller(kPanelChannels, group_out - channel)};
            static_assert(kPanelVectors == 2 || kPanelVectors == 4);
            if (columns == Vec::kWidth) {
                direct_panel_row<1>(row);
            } else if (columns == 2 * Vec::kWidth) {
                direct_panel_row<2>(row);
            } else if constexpr (kPanelVectors == 4) {
                if (columns == 3 * Vec::kWidth) {
                    direct_panel_row<3>(row);
                } else {
                    direct_panel_row<4>(row);
                }
            }
            packed += args.kernel * args.kernel * group_in * columns;
        }
    }
}

void direct_run(const ConvDirectArgs& args, size_t begin, size_t end) {
    const Finish finish(args.epilogue);
    for (size_t y = begin; y < end; ++y) {
        direct_row(args, finish, y);
    }
}

}  // namespace
}  // namespace mobileinst
