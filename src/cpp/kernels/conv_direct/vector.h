#pragma once

// Direct convolution by the tiles of the matrix product: a row of a window is a run of values that lie one
// after the other, so each row of the kernel is a product of pixels with weights.
//
// Packed weights: per group, panels as in panel.h, each (kernel, kernel, in channels of the group,
// columns).

#include "kernels/convolution/view.h"
#include "kernels/gemm/panel.h"

namespace mobileinst {
namespace {

size_t direct_packed_size(const ConvSpec& spec) {
    return spec.kernel * spec.kernel * packed_elements(spec.out_channels / spec.groups, spec.in_channels) *
           sizeof(Element);
}

void direct_pack(const ConvSpec& spec, const float* weight, void* packed) {
    const size_t groups = spec.groups, taps = spec.kernel * spec.kernel;
    const size_t group_in = spec.in_channels / groups, group_out = spec.out_channels / groups;
    Element* to = static_cast<Element*>(packed);
    for (size_t group = 0; group < groups; ++group, weight += group_out * group_in * taps) {
        for (size_t first = 0; first < group_out; first += kPanelColumns) {
            const size_t columns = panel_columns(group_out, first);
            for (size_t i = 0; i < taps * group_in; ++i) {
                const size_t tap = i / group_in, c = i % group_in;
                for (size_t j = 0; j < columns; ++j) {
                    *to++ = first + j < group_out
                                ? static_cast<Element>(weight[((first + j) * group_in + c) * taps + tap])
                                : Element{};
                }
            }
        }
    }
}

/// One panel of one group in one output row.
struct DirectRow {
    const ConvView<Element>& args;
    const VecEpilogue& epilogue;
    const Element* input;       // row of kernel row `first_row`, first channel of the group
    const Element* panel;       // weights of kernel row `first_row`
    size_t first_row, end_row;  // kernel rows inside the image
    size_t slot, group_in;      // of the output row
    size_t channel, count;      // first output channel, output channels of the panel that exist

    /// Where the outputs from x on go.
    EpilogueRows target(size_t x) const {
        const size_t pixel = slot * args.output.width + x;
        return {&epilogue,      args.output.data + pixel * args.output.ld + channel,
                args.output.ld, pixel,
                channel,        count};
    }
};

/// PIXELS outputs beginning at x, with kernel columns [first, end), for the channels of a panel.
template <int PIXELS, int VECTORS>
__attribute__((noinline)) void direct_tile(const DirectRow& row, size_t x, size_t first, size_t end) {
    const ConvView<Element>& args = row.args;
    constexpr size_t kColumns = VECTORS * Vec<Element>::kWidth;
    Vec<Element> acc[PIXELS][VECTORS];
#pragma GCC unroll 4
    for (int v = 0; v < VECTORS; ++v) {
        const Vec<Element> bias =
            row.epilogue.bias(row.channel + v * Vec<Element>::kWidth, row.count - v * Vec<Element>::kWidth);
#pragma GCC unroll 16
        for (int p = 0; p < PIXELS; ++p) {
            acc[p][v] = bias;
        }
    }
    const size_t ld = args.input.ld, group_in = row.group_in, step = args.stride * ld;
    const size_t in_row = args.input.width * ld, panel_row = args.kernel * group_in * kColumns;
    const Element* in = row.input + (x * args.stride + first - args.kernel / 2) * ld;
    const Element* panel = row.panel + first * group_in * kColumns;
    const size_t runs = ld == group_in ? 1 : end - first;  // pixels without gaps make one long run
    const size_t length = (end - first) * group_in / runs;
    for (size_t ky = row.first_row; ky < row.end_row; ++ky) {
        for (size_t run = 0; run < runs; ++run) {
            multiply_tile<PIXELS, VECTORS>(in + run * ld, step, panel + run * group_in * kColumns, length,
                                           acc);
        }
        in += in_row;
        panel += panel_row;
    }
    row.target(x).store(acc);
}

/// Outputs beginning at x, `pixels` of them with windows inside the row, in tiles of assembly: returns how
/// many it computed, 0 where there is none.
template <int VECTORS>
inline size_t direct_tiles_assembled(const DirectRow& row, size_t x, size_t pixels) {
    constexpr int kPixels = 4;
    if constexpr (kTileAssembly<kPixels, VECTORS>) {
        const ConvView<Element>& args = row.args;
        const size_t few = (kPixels - 1) * divide_up(pixels, kPixels);  // what tiles of one pixel less hold
        const size_t tiles = pixels > few ? pixels - few : 0;
        TileTarget target;
        if (tiles > 0 && args.input.ld == row.group_in && row.target(x).describe(&target)) {
            assembled_tiles_of_runs<kPixels>(row.input + (x * args.stride - args.kernel / 2) * args.input.ld,
                                             args.stride * args.input.ld, row.end_row - row.first_row,
                                             args.input.width * args.input.ld, args.kernel * row.group_in,
                                             tiles, row.panel, target);
            return tiles * kPixels;
        }
    }
    return 0;
}

template <int PIXELS, int VECTORS>
inline void direct_tile_of(size_t pixels, const DirectRow& row, size_t x) {
    if constexpr (PIXELS > 1) {
        if (pixels < PIXELS) {
            return direct_tile_of<PIXELS - 1, VECTORS>(pixels, row, x);
        }
    }
    direct_tile<PIXELS, VECTORS>(row, x, 0, row.args.kernel);
}

template <int VECTORS>
void direct_panel_row(const DirectRow& row) {
    const ConvView<Element>& args = row.args;
    const size_t pad = args.kernel / 2, width = args.output.width;
    // Outputs [begin, end) have windows inside the row.
    const size_t begin = smaller(divide_up(pad, args.stride), width);
    const size_t inside = args.input.width > pad ? (args.input.width - 1 - pad) / args.stride + 1 : 0;
    const size_t end = larger(begin, smaller(inside, width));
    for (size_t x = 0; x < width;) {
        if (x < begin || x >= end) {
            const size_t left = x * args.stride, first = left < pad ? pad - left : 0;
            direct_tile<1, VECTORS>(row, x, first, smaller(args.kernel, args.input.width + pad - left));
            ++x;
        } else if (const size_t done = direct_tiles_assembled<VECTORS>(row, x, end - x)) {
            x += done;
        } else {
            constexpr size_t kMost = kTileRows<VECTORS>;
            const size_t pixels = divide_up(end - x, divide_up(end - x, kMost));
            direct_tile_of<static_cast<int>(kMost), VECTORS>(pixels, row, x);
            x += pixels;
        }
    }
}

template <int VECTORS>
inline void direct_panel_row_of(size_t vectors, const DirectRow& row) {
    if constexpr (VECTORS > 1) {
        if (vectors < VECTORS) {
            return direct_panel_row_of<VECTORS - 1>(vectors, row);
        }
    }
    direct_panel_row<VECTORS>(row);
}

void direct_row(const ConvView<Element>& args, const VecEpilogue& epilogue, size_t y, size_t slot) {
    const size_t pad = args.kernel / 2, top = y * args.stride;
    const size_t first_row = top < pad ? pad - top : 0,
                 end_row = smaller(args.kernel, args.input.height + pad - top);
    const size_t group_in = args.input.channels / args.groups, group_out = args.output.channels / args.groups;
    const Element* packed = args.packed;
    for (size_t group = 0; group < args.groups; ++group) {
        const Element* input =
            args.input.data + (top + first_row - pad) * args.input.width * args.input.ld + group * group_in;
        for (size_t channel = 0; channel < group_out; channel += kPanelColumns) {
            const size_t columns = panel_columns(group_out, channel);
            const Element* panel = packed + first_row * args.kernel * group_in * columns;
            const DirectRow row{args,
                                epilogue,
                                input,
                                panel,
                                first_row,
                                end_row,
                                slot,
                                group_in,
                                group * group_out + channel,
                                smaller(kPanelColumns, group_out - channel)};
            direct_panel_row_of<static_cast<int>(kPanelVectors)>(columns / Vec<Element>::kWidth, row);
            packed += args.kernel * args.kernel * group_in * columns;
        }
    }
}

void direct_run(const ConvArgs& args, size_t begin, size_t end, void* /*scratch*/) {
    const ConvView<Element> view(args);
    const VecEpilogue epilogue(args.epilogue);
    for (size_t y = begin; y < end; ++y) {
        direct_row(view, epilogue, y, args.output_ring.slot(y));
    }
}

constexpr ConvKernels kConvDirect = {direct_packed_size, direct_pack, no_scratch, output_rows, direct_run, 1};

}  // namespace
}  // namespace mobileinst
