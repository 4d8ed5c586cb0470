#pragma once

// 3x3 convolution by Winograd's minimal filtering (Lavin and Gray, 2016, arXiv 1509.09308), with the
// transforms of F, one of winograd_f*.h.
//
// A block of tiles goes through three steps while it is in the second-level cache: each input tile is
// transformed to a value per position and channel; for each of the positions a matrix product over the
// channels, for one panel of output channels at a time; each panel is transformed back to outputs. Packed
// weights: per panel of output channels, per position, (in channels, panel columns).

#include "kernels/conv3x3/conv3x3.h"
#include "kernels/conv3x3/winograd_f4.h"
#include "kernels/conv3x3/winograd_f4_half.h"
#include "kernels/conv3x3/winograd_f6.h"
#include "kernels/conv3x3/winograd_f8.h"
#include "kernels/convolution/view.h"
#include "kernels/gemm/panel.h"

namespace mobileinst {
namespace {

template <typename F>  // values of a transformed tile
constexpr size_t kPositions = F::kInputs * F::kInputs;
constexpr size_t kLinePad =
    64 / sizeof(Element);  // keeps the positions' streams from falling on the same cache sets

using Columns = double[kPanelColumns];  // one weight of each filter of a panel

template <typename F>
size_t winograd_packed_size(const ConvSpec& spec) {
    return kPositions<F> * packed_elements(spec.out_channels, spec.in_channels) * sizeof(Element);
}

/// One dimension of the weight transform: three weights to F::kInputs, `step` apart.
template <typename F>
inline void transform_weights(const Columns& g0, const Columns& g1, const Columns& g2, Columns* u,
                              size_t step) {
    for (size_t i = 0; i < kPanelColumns; ++i) {
        double transformed[F::kInputs];
        F::transform_weights(g0[i], g1[i], g2[i], transformed);
#pragma GCC unroll 10
        for (size_t k = 0; k < F::kInputs; ++k) {
            u[k * step][i] = transformed[k];
        }
    }
}

/// Both dimensions of the weight transform.
template <typename F>
inline void transform_filters(const Columns (&g)[9], Columns (&u)[kPositions<F>]) {
    Columns half[3 * F::kInputs];
    for (size_t x = 0; x < 3; ++x) {
        transform_weights<F>(g[x], g[3 + x], g[6 + x], half + x, 3);
    }
    for (size_t y = 0; y < F::kInputs; ++y) {
        transform_weights<F>(half[3 * y], half[3 * y + 1], half[3 * y + 2], u + F::kInputs * y, 1);
    }
}

template <typename F>
void winograd_pack(const ConvSpec& spec, const float* weight, void* memory) {
    const size_t in_channels = spec.in_channels, out_channels = spec.out_channels;
    Element* packed = static_cast<Element*>(memory);
    Columns g[9] = {}, u[kPositions<F>];
    for (size_t first = 0; first < out_channels; first += kPanelColumns) {
        const size_t columns = panel_columns(out_channels, first);
        for (size_t i = 0; i < in_channels; ++i) {
            for (size_t j = 0; j < columns; ++j) {
                const float* filter = weight + (smaller(first + j, out_channels - 1) * in_channels + i) * 9;
                for (size_t tap = 0; tap < 9; ++tap) {
                    g[tap][j] = first + j < out_channels ? filter[tap] : 0.0;
                }
            }
            transform_filters<F>(g, u);
            for (size_t position = 0; position < kPositions<F>; ++position) {
                Element* run = packed + (position * in_channels + i) * columns;
                for (size_t j = 0; j < columns; ++j) {
                    run[j] = static_cast<Element>(u[position][j]);
                }
            }
        }
        packed += kPositions<F> * in_channels * columns;
    }
}

/// Tiles that are transformed together: as many as the second-level cache holds with one panel of products,
/// but more where the weights, which every block reads, are too large for a core's share of the third.
template <typename F>
inline size_t tiles_per_block(size_t in_channels, size_t out_channels) {
    constexpr size_t kThirdCacheElements = (size_t{1} << 24) / sizeof(Element);
    if (kPositions<F> * in_channels * out_channels > kThirdCacheElements) {
        return round_up(36, kRowTile);
    }
    const size_t per_tile = kPositions<F> * (round_up(in_channels, Vec<Element>::kWidth) + kPanelColumns);
    const size_t fitting = kSecondCacheElements / 8 * 7 / per_tile / kRowTile * kRowTile;
    // Fewer tiles would read the weights too often, more would not make that rarer by much.
    return larger(smaller(fitting, 48), round_up(12, kRowTile));
}

/// The scratch of one run: transformed input (positions, tiles, channels), products (positions, tiles, panel
/// columns) and one pixel of zeros.
template <typename F>
struct WinogradScratch {
    size_t input_ld, input_position, product_position;
    Element* input;
    Element* product;
    Element* zeros;

    WinogradScratch(size_t in_channels, size_t tiles, Element* scratch)
        : input_ld(round_up(in_channels, Vec<Element>::kWidth)),
          input_position(tiles * input_ld + kLinePad),
          product_position(tiles * kPanelColumns + kLinePad),
          input(scratch),
          product(scratch + kPositions<F> * input_position),
          zeros(product + kPositions<F> * product_position) {}

    size_t size() const { return kPositions<F> * (input_position + product_position) + input_ld; }
};

template <typename F>
size_t winograd_scratch_size(const ConvArgs& args) {
    const size_t in = args.input.channels, tiles = tiles_per_block<F>(in, args.output.channels);
    return WinogradScratch<F>(in, tiles, nullptr).size() * sizeof(Element);
}

/// The tile at a place of the image.
template <typename F>
struct Tile {
    size_t y, x;  // of its first output

    Tile(const ConvView<Element>& args, size_t index) {
        const size_t across = divide_up(args.input.width, F::kOutputs);
        y = index / across * F::kOutputs;
        x = index % across * F::kOutputs;
    }
};

/// Vectors of 16 bytes share a cache line with three others: one prefetch serves all.
inline bool prefetches(size_t channel) { return kVecBytes != 16 || channel * sizeof(Element) % 64 == 0; }

/// Both dimensions of the input transform for one vector of channels. load_column(column)(row) gives the
/// values.
template <typename F, typename LoadColumn>
inline __attribute__((always_inline)) void transform_input_tile(LoadColumn&& load_column, Element* output,
                                                                size_t position_step) {
    alignas(64) Element half[kPositions<F> * Vec<Element>::kWidth];  // would not fit in the registers
    for (size_t j = 0; j < F::kInputs; ++j) {
        const auto load = load_column(j);
        Vec<Element> d[F::kInputs];
#pragma GCC unroll 10
        for (size_t i = 0; i < F::kInputs; ++i) {
            d[i] = load(i);
        }
        F::transform_input(d);
#pragma GCC unroll 10
        for (size_t i = 0; i < F::kInputs; ++i) {
            d[i].store(half + (i * F::kInputs + j) * Vec<Element>::kWidth);
        }
    }
    for (size_t i = 0; i < F::kInputs; ++i) {
        Vec<Element> d[F::kInputs];
#pragma GCC unroll 10
        for (size_t j = 0; j < F::kInputs; ++j) {
            d[j] = Vec<Element>::load(half + (i * F::kInputs + j) * Vec<Element>::kWidth);
        }
        F::transform_input(d);
#pragma GCC unroll 10
        for (size_t j = 0; j < F::kInputs; ++j) {
            d[j].store(output + j * position_step);
        }
        output += F::kInputs * position_step;
    }
}

template <typename F>
inline void input_tile_inside(const ConvView<Element>& args, const Tile<F>& tile, Element* output,
                              size_t position_step) {
    const size_t row = args.input.width * args.input.ld;
    const Element* corner = args.input.data + ((tile.y - 1) * args.input.width + tile.x - 1) * args.input.ld;
    size_t c = 0;
    for (; c + Vec<Element>::kWidth <= args.input.channels; c += Vec<Element>::kWidth) {
        const Element* p = corner + c;
        for (size_t i = 0; prefetches(c) && i < F::kInputs; ++i) {
            for (size_t j = F::kInputs; j < F::kInputs + F::kOutputs; ++j) {
                __builtin_prefetch(p + i * row + j * args.input.ld, 0, 2);
            }
        }
        transform_input_tile<F>(
            [&](size_t j) {
                const Element* column = settled(p + j * args.input.ld);
                return [=](size_t i) { return Vec<Element>::load(column + i * row); };
            },
            output + c, position_step);
    }
    if (c < args.input.channels) {
        const Element* p = corner + c;
        const size_t count = args.input.channels - c;
        transform_input_tile<F>(
            [&](size_t j) {
                const Element* column = p + j * args.input.ld;
                return [=](size_t i) { return Vec<Element>::load_first(column + i * row, count); };
            },
            output + c, position_step);
    }
}

template <typename F>
inline void input_tile_at_border(const ConvView<Element>& args, const Tile<F>& tile, const Element* zeros,
                                 Element* output, size_t position_step) {
    const Element* pixels[F::kInputs][F::kInputs];  // of a column, then a row
    for (size_t i = 0; i < F::kInputs; ++i) {
        for (size_t j = 0; j < F::kInputs; ++j) {
            const size_t y = tile.y + i - 1, x = tile.x + j - 1;  // wraps round when outside
            pixels[j][i] = y < args.input.height && x < args.input.width
                               ? args.input.data + (y * args.input.width + x) * args.input.ld
                               : zeros;
        }
    }
    size_t c = 0;
    for (; c + Vec<Element>::kWidth <= args.input.channels; c += Vec<Element>::kWidth) {
        transform_input_tile<F>(
            [&](size_t j) { return [&, j](size_t i) { return Vec<Element>::load(pixels[j][i] + c); }; },
            output + c, position_step);
    }
    if (c < args.input.channels) {
        const size_t count = args.input.channels - c;
        transform_input_tile<F>(
            [&](size_t j) {
                return [&, j](size_t i) { return Vec<Element>::load_first(pixels[j][i] + c, count); };
            },
            output + c, position_step);
    }
}

template <typename F>
void transform_input_block(const ConvView<Element>& args, size_t first, size_t tiles,
                           const WinogradScratch<F>& scratch) {
    for (size_t t = 0; t < tiles; ++t) {
        const Tile<F> tile(args, first + t);
        Element* output = scratch.input + t * scratch.input_ld;
        if (tile.y > 0 && tile.x > 0 && tile.y + F::kInputs - 1 <= args.input.height &&
            tile.x + F::kInputs - 1 <= args.input.width) {
            input_tile_inside<F>(args, tile, output, scratch.input_position);
        } else {
            input_tile_at_border<F>(args, tile, scratch.zeros, output, scratch.input_position);
        }
    }
}

/// The second dimension of the output transform and the epilogue for a vector of channels that all exist,
/// without residual, as NEON likes it: little per row.
template <typename F>
inline void output_rows(const VecEpilogue& epilogue, const Element* half, Vec<Element> bias, Element* output,
                        size_t rows, size_t columns, size_t row_step, size_t ld, bool prefetched) {
    for (const Element* end = half + rows * F::kInputs * Vec<Element>::kWidth; half != end;
         output += row_step) {
        if (prefetched) {
            Element* next = settled(output + F::kOutputs * ld);
#pragma GCC unroll 10
            for (size_t j = 0; j < F::kOutputs; ++j) {
                __builtin_prefetch(next, 1, 2);
                next = next_address(next, next, 1, ld);
            }
        }
        Vec<Element> m[F::kInputs];
#pragma GCC unroll 10
        for (size_t j = 0; j < F::kInputs; ++j) {
            m[j] = Vec<Element>::load(half + j * Vec<Element>::kWidth);
        }
        half += F::kInputs * Vec<Element>::kWidth;
        F::transform_output(m, bias);
        epilogue.activate_all(m, F::kOutputs);
        Element* to = output;
        if (columns == F::kOutputs) {
#pragma GCC unroll 10
            for (size_t j = 0; j < F::kOutputs; ++j) {
                m[j].store(to);
                to = next_address(to, output, j + 1, ld);
            }
        } else {
#pragma GCC unroll 10
            for (size_t j = 0; j < F::kOutputs; ++j) {
                if (j < columns) {
                    m[j].store(output + j * ld);
                }
            }
        }
    }
}

/// Both dimensions of the output transform for one vector of channels, and the epilogue.
template <typename F>
inline void output_tile(const ConvView<Element>& args, const VecEpilogue& epilogue, const Tile<F>& tile,
                        const Element* product, size_t position_step, size_t channel) {
    alignas(64) Element half[F::kOutputs * F::kInputs * Vec<Element>::kWidth];
    for (size_t j = 0; j < F::kInputs; ++j) {
        Vec<Element> m[F::kInputs];
#pragma GCC unroll 10
        for (size_t i = 0; i < F::kInputs; ++i) {
            m[i] = Vec<Element>::load(product + (i * F::kInputs + j) * position_step);
        }
        F::transform_output(m);
#pragma GCC unroll 10
        for (size_t i = 0; i < F::kOutputs; ++i) {
            m[i].store(half + (i * F::kInputs + j) * Vec<Element>::kWidth);
        }
    }
    const size_t count = args.output.channels - channel;
    const Vec<Element> bias = epilogue.bias(channel, count);
    const size_t rows = smaller(F::kOutputs, args.input.height - tile.y),
                 columns = smaller(F::kOutputs, args.input.width - tile.x);
    if (kVecBytes == 16 && count >= Vec<Element>::kWidth && epilogue.residual == nullptr) {
        const size_t ld = args.output.ld;
        Element* output = args.output.data + (tile.y * args.input.width + tile.x) * ld + channel;
        return output_rows<F>(epilogue, half, bias, output, rows, columns, args.input.width * ld, ld,
                              prefetches(channel));
    }
    for (size_t i = 0; i < rows; ++i) {
        const size_t pixel = (tile.y + i) * args.input.width + tile.x;
        Element* output = args.output.data + pixel * args.output.ld + channel;
#pragma GCC unroll 10
        for (size_t j = F::kOutputs; j < 2 * F::kOutputs; ++j) {
            __builtin_prefetch(output + j * args.output.ld, 1, 2);
        }
        Vec<Element> m[F::kInputs];
#pragma GCC unroll 10
        for (size_t j = 0; j < F::kInputs; ++j) {
            m[j] = Vec<Element>::load(half + (i * F::kInputs + j) * Vec<Element>::kWidth);
        }
        F::transform_output(m, bias);
        epilogue.activate_all(m, F::kOutputs);
        if (columns == F::kOutputs && count >= Vec<Element>::kWidth && epilogue.residual == nullptr) {
            Element* to = output;
#pragma GCC unroll 10
            for (size_t j = 0; j < F::kOutputs; ++j) {
                m[j].store(to);
                to = next_address(to, output, j + 1, args.output.ld);
            }
        } else {
#pragma GCC unroll 10
            for (size_t j = 0; j < F::kOutputs; ++j) {
                if (j < columns) {
                    epilogue.store_activated(m[j], output + j * args.output.ld, pixel + j, channel, count);
                }
            }
        }
    }
}

template <typename F>
void transform_output_block(const ConvView<Element>& args, const VecEpilogue& epilogue, size_t first,
                            size_t tiles, const WinogradScratch<F>& scratch, size_t channel) {
    const size_t channels = smaller(kPanelColumns, args.output.channels - channel);
    for (size_t t = 0; t < tiles; ++t) {
        const Tile<F> tile(args, first + t);
        for (size_t c = 0; c < channels; c += Vec<Element>::kWidth) {
            output_tile<F>(args, epilogue, tile, scratch.product + t * kPanelColumns + c,
                           scratch.product_position, channel + c);
        }
    }
}

template <typename F>
void multiply_block(const ConvView<Element>& args, size_t tiles, const WinogradScratch<F>& scratch,
                    size_t channel) {
    const size_t columns = panel_columns(args.output.channels, channel);
    const Element* panel = args.packed + kPositions<F> * channel * args.input.channels;
    for (size_t position = 0; position < kPositions<F>; ++position) {
        gemm_panel(scratch.input + position * scratch.input_position, scratch.input_ld, tiles, panel,
                   columns / Vec<Element>::kWidth, args.input.channels,
                   RawRows{scratch.product + position * scratch.product_position, kPanelColumns});
        panel += args.input.channels * columns;
    }
}

template <typename F>
size_t winograd_units(const ConvArgs& args) {
    return divide_up(args.input.height, F::kOutputs) * divide_up(args.input.width, F::kOutputs);
}

template <typename F>
void winograd_run(const ConvArgs& args_, size_t begin, size_t end, void* memory) {
    const ConvView<Element> args(args_);
    const VecEpilogue epilogue(args_.epilogue);
    const size_t most = tiles_per_block<F>(args.input.channels, args.output.channels);
    const WinogradScratch<F> scratch(args.input.channels, most, static_cast<Element*>(memory));
    for (size_t i = 0; i < scratch.input_ld; ++i) {
        scratch.zeros[i] = Element{};
    }
    while (begin < end) {
        // Blocks of even size; where tiles of the product have few rows, whole ones before the last two.
        const size_t left = end - begin;
        const size_t tiles =
            kRowTile == 4 && left >= 2 * most ? most : divide_up(left, divide_up(left, most));
        transform_input_block<F>(args, begin, tiles, scratch);
        for (size_t channel = 0; channel < args.output.channels; channel += kPanelColumns) {
            multiply_block<F>(args, tiles, scratch, channel);
            transform_output_block<F>(args, epilogue, begin, tiles, scratch, channel);
        }
        begin += tiles;
    }
}

template <typename F>
constexpr ConvKernels kWinogradKernels = {winograd_packed_size<F>, winograd_pack<F>, winograd_scratch_size<F>,
                                          winograd_units<F>,       winograd_run<F>,  1};

template <DType dtype>
constexpr Conv3x3Variants winograd_variants() {
    if constexpr (dtype == DType::Float16) {
        return {kWinogradKernels<WinogradF4Half>, kWinogradKernels<WinogradF4Half>,
                kWinogradKernels<WinogradF4Half>};
    } else {
        return {kWinogradKernels<WinogradF4>, kWinogradKernels<WinogradF6>, kWinogradKernels<WinogradF8>};
    }
}

constexpr Conv3x3Variants kConv3x3 = winograd_variants<kElementType>();

}  // namespace
}  // namespace mobileinst
