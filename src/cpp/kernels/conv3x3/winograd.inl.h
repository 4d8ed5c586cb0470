#pragma once

// 3x3 convolution by Winograd's F(6x6, 3x3) with the points 0, 1, -1, 2, -2, 1/2, -1/2 and infinity (Lavin
// and Gray, 2016, arXiv 1509.09308). Include after one of kernels/gemm/shape_*.inl.h.
//
// A block of tiles goes through three steps while it is in the second-level cache: each 8x8 input tile is
// transformed to 64 values per channel; for each of the 64 positions a matrix product over the channels, for
// one panel of output channels at a time; each panel is transformed back to 6x6 outputs. Packed weights: per
// panel of output channels, per position, (in channels, panel columns).

#include "kernels/conv3x3/conv3x3.h"

namespace mobileinst {
namespace {

constexpr size_t kOutputs = 6;  // of a tile, in each dimension
constexpr size_t kInputs = 8;
constexpr size_t kPositions = kInputs * kInputs;
constexpr size_t kLinePad = 16;  // keeps the positions' streams from falling on the same cache sets

/// One dimension of the input transform, in place.
inline __attribute__((always_inline)) void transform_input(Vec (&d)[kInputs]) {
    const Vec quarter = Vec::fill(0.25f), half = Vec::fill(0.5f), minus_half = Vec::fill(-0.5f),
              minus_one_quarter = Vec::fill(-1.25f), four = Vec::fill(4.0f),
              minus_four_quarter = Vec::fill(-4.25f), minus_five = Vec::fill(-5.0f),
              five_quarter = Vec::fill(5.25f);
    const Vec even1 = fma(minus_four_quarter, d[4], d[2] + d[6]),
              odd1 = fma(minus_four_quarter, d[3], d[1] + d[5]);
    const Vec even2 = fma(quarter, d[2], fma(minus_one_quarter, d[4], d[6])),
              odd2 = fma(four, d[5], fma(minus_five, d[3], d[1]));
    const Vec even3 = fma(four, d[2], fma(minus_five, d[4], d[6])),
              odd3 = fma(four, d[1], fma(minus_five, d[3], d[5]));
    d[0] = fma(five_quarter, d[4] - d[2], d[0] - d[6]);
    d[7] = fma(five_quarter, d[3] - d[5], d[7] - d[1]);
    d[1] = even1 + odd1;
    d[2] = even1 - odd1;
    d[3] = fma(half, odd2, even2);
    d[4] = fma(minus_half, odd2, even2);
    d[5] = fma(half, odd3, even3);
    d[6] = fma(minus_half, odd3, even3);
}

/// One dimension of the output transform: eight values to the first six, in place.
inline __attribute__((always_inline)) void transform_output(Vec (&m)[kInputs]) {
    const Vec two = Vec::fill(2.0f), four = Vec::fill(4.0f), eight = Vec::fill(8.0f),
              sixteen = Vec::fill(16.0f), thirty_two = Vec::fill(32.0f);
    const Vec sum1 = m[1] + m[2], difference1 = m[1] - m[2];
    const Vec sum2 = m[3] + m[4], difference2 = m[3] - m[4];
    const Vec sum3 = m[5] + m[6], difference3 = m[5] - m[6];
    m[0] = fma(thirty_two, sum3, (m[0] + sum1) + sum2);
    m[1] = fma(sixteen, difference3, fma(two, difference2, difference1));
    m[2] = fma(eight, sum3, fma(four, sum2, sum1));
    m[3] = fma(four, difference3, fma(eight, difference2, difference1));
    m[4] = fma(two, sum3, fma(sixteen, sum2, sum1));
    m[5] = fma(thirty_two, difference2, (m[7] + difference1) + difference3);
}

using Columns = double[kPanelColumns];  // one weight of each filter of a panel

/// One dimension of the weight transform: three weights to eight, `step` apart.
inline void transform_weights(const Columns& g0, const Columns& g1, const Columns& g2, Columns* u,
                              size_t step) {
    for (size_t i = 0; i < kPanelColumns; ++i) {
        const double a = g0[i], b = g1[i], c = g2[i];
        u[0][i] = a;
        u[step][i] = (a + c + b) * (-2.0 / 9);
        u[2 * step][i] = (a + c - b) * (-2.0 / 9);
        u[3 * step][i] = (a + 4 * c + 2 * b) * (1.0 / 90);
        u[4 * step][i] = (a + 4 * c - 2 * b) * (1.0 / 90);
        u[5 * step][i] = (4 * a + c + 2 * b) * (1.0 / 180);
        u[6 * step][i] = (4 * a + c - 2 * b) * (1.0 / 180);
        u[7 * step][i] = c;
    }
}

size_t winograd_packed_size(size_t in_channels, size_t out_channels) {
    return kPositions * gemm_packed_size(out_channels, in_channels);
}

/// Both dimensions of the weight transform: (9) to (64).
inline void transform_filters(const Columns (&g)[9], Columns (&u)[kPositions]) {
    Columns half[3 * kInputs];
    for (size_t x = 0; x < 3; ++x) {
        transform_weights(g[x], g[3 + x], g[6 + x], half + x, 3);
    }
    for (size_t y = 0; y < kInputs; ++y) {
        transform_weights(half[3 * y], half[3 * y + 1], half[3 * y + 2], u + kInputs * y, 1);
    }
}

void winograd_pack(const float* weight, size_t in_channels, size_t out_channels, float* packed) {
    Columns g[9] = {}, u[kPositions];
    for (size_t first = 0; first < out_channels; first += kPanelColumns) {
        const size_t columns = panel_columns(out_channels, first);
        for (size_t i = 0; i < in_channels; ++i) {
            for (size_t j = 0; j < columns; ++j) {
                const float* filter = weight + (smaller(first + j, out_channels - 1) * in_channels + i) * 9;
                for (size_t tap = 0; tap < 9; ++tap) {
                    g[tap][j] = first + j < out_channels ? filter[tap] : 0.0;
                }
            }
            transform_filters(g, u);
            for (size_t position = 0; position < kPositions; ++position) {
                float* run = packed + (position * in_channels + i) * columns;
                for (size_t j = 0; j < columns; ++j) {
                    run[j] = static_cast<float>(u[position][j]);
                }
            }
        }
        packed += kPositions * in_channels * columns;
    }
}

/// Tiles that are transformed together: as many as the second-level cache holds with one panel of products.
inline size_t tiles_per_block(size_t in_channels) {
    const size_t per_tile = kPositions * (round_up(in_channels, Vec::kWidth) + kPanelColumns);
    const size_t fitting = kSecondCacheFloats / 8 * 7 / per_tile / kRowTile * kRowTile;
    // Fewer tiles would read the weights too often, more would not make that rarer by much.
    return larger(smaller(fitting, 48), round_up(12, kRowTile));
}

/// The scratch of one run: transformed input (64, tiles, channels), products (64, tiles, panel columns) and
/// one pixel of zeros.
struct WinogradScratch {
    size_t input_ld, input_position, product_position;
    float* input;
    float* product;
    float* zeros;

    WinogradScratch(size_t in_channels, size_t tiles, float* scratch)
        : input_ld(round_up(in_channels, Vec::kWidth)),
          input_position(tiles * input_ld + kLinePad),
          product_position(tiles * kPanelColumns + kLinePad),
          input(scratch),
          product(scratch + kPositions * input_position),
          zeros(product + kPositions * product_position) {}

    size_t size() const { return kPositions * (input_position + product_position) + input_ld; }
};

size_t winograd_scratch_size(size_t in_channels, size_t /*out_channels*/) {
    return WinogradScratch(in_channels, tiles_per_block(in_channels), nullptr).size();
}

/// The tile at a place of the image.
struct Tile {
    size_t y, x;  // of its first output

    Tile(const Conv3x3Args& args, size_t index) {
        const size_t across = divide_up(args.width, kOutputs);
        y = index / across * kOutputs;
        x = index % across * kOutputs;
    }
};

/// Vectors of four share a cache line with three others: one prefetch serves all.
inline bool prefetches(size_t channel) { return Vec::kWidth != 4 || channel % 16 == 0; }

/// Both dimensions of the input transform for one vector of channels. load_column(column)(row) gives the 8x8
/// values.
template <typename LoadColumn>
inline __attribute__((always_inline)) void transform_input_tile(LoadColumn&& load_column, float* output,
                                                                size_t position_step) {
    alignas(64) float half[kPositions * Vec::kWidth];  // would not fit in the registers
    for (size_t j = 0; j < kInputs; ++j) {
        const auto load = load_column(j);
        Vec d[kInputs];
#pragma GCC unroll 8
        for (size_t i = 0; i < kInputs; ++i) {
            d[i] = load(i);
        }
        transform_input(d);
#pragma GCC unroll 8
        for (size_t i = 0; i < kInputs; ++i) {
            d[i].store(half + (i * kInputs + j) * Vec::kWidth);
        }
    }
    for (size_t i = 0; i < kInputs; ++i) {
        Vec d[kInputs];
#pragma GCC unroll 8
        for (size_t j = 0; j < kInputs; ++j) {
            d[j] = Vec::load(half + (i * kInputs + j) * Vec::kWidth);
        }
        transform_input(d);
#pragma GCC unroll 8
        for (size_t j = 0; j < kInputs; ++j) {
            d[j].store(output + j * position_step);
        }
        output += kInputs * position_step;
    }
}

inline void input_tile_inside(const Conv3x3Args& args, const Tile& tile, float* output,
                              size_t position_step) {
    const size_t row = args.width * args.input_ld;
    const float* corner = args.input + ((tile.y - 1) * args.width + tile.x - 1) * args.input_ld;
    size_t c = 0;
    for (; c + Vec::kWidth <= args.in_channels; c += Vec::kWidth) {
        const float* p = corner + c;
        for (size_t i = 0; prefetches(c) && i < kInputs; ++i) {
            for (size_t j = kInputs; j < kInputs + kOutputs; ++j) {
                __builtin_prefetch(p + i * row + j * args.input_ld, 0, 2);
            }
        }
        transform_input_tile(
            [&](size_t j) {
                const float* column = settled(p + j * args.input_ld);
                return [=](size_t i) { return Vec::load(column + i * row); };
            },
            output + c, position_step);
    }
    if (c < args.in_channels) {
        const float* p = corner + c;
        const size_t count = args.in_channels - c;
        transform_input_tile(
            [&](size_t j) {
                const float* column = p + j * args.input_ld;
                return [=](size_t i) { return Vec::load_first(column + i * row, count); };
            },
            output + c, position_step);
    }
}

inline void input_tile_at_border(const Conv3x3Args& args, const Tile& tile, const float* zeros, float* output,
                                 size_t position_step) {
    const float* pixels[kInputs][kInputs];  // of a column, then a row
    for (size_t i = 0; i < kInputs; ++i) {
        for (size_t j = 0; j < kInputs; ++j) {
            const size_t y = tile.y + i - 1, x = tile.x + j - 1;  // wraps round when outside
            pixels[j][i] =
                y < args.height && x < args.width ? args.input + (y * args.width + x) * args.input_ld : zeros;
        }
    }
    size_t c = 0;
    for (; c + Vec::kWidth <= args.in_channels; c += Vec::kWidth) {
        transform_input_tile(
            [&](size_t j) { return [&, j](size_t i) { return Vec::load(pixels[j][i] + c); }; }, output + c,
            position_step);
    }
    if (c < args.in_channels) {
        const size_t count = args.in_channels - c;
        transform_input_tile(
            [&](size_t j) { return [&, j](size_t i) { return Vec::load_first(pixels[j][i] + c, count); }; },
            output + c, position_step);
    }
}

void transform_input_block(const Conv3x3Args& args, size_t first, size_t tiles,
                           const WinogradScratch& scratch) {
    for (size_t t = 0; t < tiles; ++t) {
        const Tile tile(args, first + t);
        float* output = scratch.input + t * scratch.input_ld;
        if (tile.y > 0 && tile.x > 0 && tile.y + kInputs - 1 <= args.height &&
            tile.x + kInputs - 1 <= args.width) {
            input_tile_inside(args, tile, output, scratch.input_position);
        } else {
            input_tile_at_border(args, tile, scratch.zeros, output, scratch.input_position);
        }
    }
}

/// The second dimension of the output transform and the epilogue for a vector of channels that all exist,
/// without residual, as NEON likes it: little per row, and one addition of the bias, to the value at point 1,
/// which goes into all outputs with factor 1.
inline void output_rows(const Finish& finish, const float* half, Vec bias, float* output, size_t rows,
                        size_t columns, size_t row_step, size_t ld, bool prefetched) {
    for (const float* end = half + rows * kInputs * Vec::kWidth; half != end; output += row_step) {
        if (prefetched) {
            float* next = settled(output + kOutputs * ld);
#pragma GCC unroll 8
            for (size_t j = 0; j < kOutputs; ++j) {
                __builtin_prefetch(next, 1, 2);
                next = next_address(next, next, 1, ld);
            }
        }
        Vec m[kInputs];
#pragma GCC unroll 8
        for (size_t j = 0; j < kInputs; ++j) {
            m[j] = Vec::load(half + j * Vec::kWidth);
        }
        half += kInputs * Vec::kWidth;
        m[1] = m[1] + bias;
        transform_output(m);
        finish.activate_all(m, kOutputs);
        float* to = output;
        if (columns == kOutputs) {
#pragma GCC unroll 8
            for (size_t j = 0; j < kOutputs; ++j) {
                m[j].store(to);
                to = next_address(to, output, j + 1, ld);
            }
        } else {
#pragma GCC unroll 8
            for (size_t j = 0; j < kOutputs; ++j) {
                if (j < columns) {
                    m[j].store(output + j * ld);
                }
            }
        }
    }
}

/// Both dimensions of the output transform for one vector of channels, and the epilogue.
inline void output_tile(const Conv3x3Args& args, const Finish& finish, const Tile& tile, const float* product,
                        size_t position_step, size_t channel) {
    alignas(64) float half[kOutputs * kInputs * Vec::kWidth];
    for (size_t j = 0; j < kInputs; ++j) {
        Vec m[kInputs];
#pragma GCC unroll 8
        for (size_t i = 0; i < kInputs; ++i) {
            m[i] = Vec::load(product + (i * kInputs + j) * position_step);
        }
        transform_output(m);
#pragma GCC unroll 8
        for (size_t i = 0; i < kOutputs; ++i) {
            m[i].store(half + (i * kInputs + j) * Vec::kWidth);
        }
    }
    const size_t count = args.out_channels - channel;
    const Vec bias = finish.bias(channel, count);
    const size_t rows = smaller(kOutputs, args.height - tile.y),
                 columns = smaller(kOutputs, args.width - tile.x);
    if (Vec::kWidth == 4 && count >= Vec::kWidth && finish.residual == nullptr) {
        const size_t ld = args.output_ld;
        float* output = args.output + (tile.y * args.width + tile.x) * ld + channel;
        return output_rows(finish, half, bias, output, rows, columns, args.width * ld, ld,
                           prefetches(channel));
    }
    for (size_t i = 0; i < rows; ++i) {
        const size_t pixel = (tile.y + i) * args.width + tile.x;
        float* output = args.output + pixel * args.output_ld + channel;
#pragma GCC unroll 8
        for (size_t j = kOutputs; j < 2 * kOutputs; ++j) {
            __builtin_prefetch(output + j * args.output_ld, 1, 2);
        }
        Vec m[kInputs];
#pragma GCC unroll 8
        for (size_t j = 0; j < kInputs; ++j) {
            m[j] = Vec::load(half + (i * kInputs + j) * Vec::kWidth);
        }
        transform_output(m);
#pragma GCC unroll 8
        for (size_t j = 0; j < kOutputs; ++j) {
            m[j] = m[j] + bias;
        }
        finish.activate_all(m, kOutputs);
        if (columns == kOutputs && count >= Vec::kWidth && finish.residual == nullptr) {
            float* to = output;
#pragma GCC unroll 8
            for (size_t j = 0; j < kOutputs; ++j) {
                m[j].store(to);
                to = next_address(to, output, j + 1, args.output_ld);
            }
        } else {
#pragma GCC unroll 8
            for (size_t j = 0; j < kOutputs; ++j) {
                if (j < columns) {
                    finish.store_activated(m[j], output + j * args.output_ld, pixel + j, channel, count);
                }
            }
        }
    }
}

void transform_output_block(const Conv3x3Args& args, const Finish& finish, size_t first, size_t tiles,
                            const WinogradScratch& scratch, size_t channel) {
    const size_t channels = smaller(kPanelColumns, args.out_channels - channel);
    for (size_t t = 0; t < tiles; ++t) {
        const Tile tile(args, first + t);
        for (size_t c = 0; c < channels; c += Vec::kWidth) {
            output_tile(args, finish, tile, scratch.product + t * kPanelColumns + c, scratch.product_position,
                        channel + c);
        }
    }
}

void multiply_block(const Conv3x3Args& args, size_t tiles, const WinogradScratch& scratch, size_t channel) {
    const size_t columns = panel_columns(args.out_channels, channel);
    const float* panel = args.packed + kPositions * channel * args.in_channels;
    for (size_t position = 0; position < kPositions; ++position) {
        gemm_panel(scratch.input + position * scratch.input_position, scratch.input_ld, tiles, panel,
                   columns / Vec::kWidth, args.in_channels,
                   RawRows{scratch.product + position * scratch.product_position, kPanelColumns});
        panel += args.in_channels * columns;
    }
}

size_t winograd_units(const Conv3x3Args& args) {
    return divide_up(args.height, kOutputs) * divide_up(args.width, kOutputs);
}

void winograd_run(const Conv3x3Args& args, size_t begin, size_t end, float* memory) {
    const Finish finish(args.epilogue);
    const size_t most = tiles_per_block(args.in_channels);
    const WinogradScratch scratch(args.in_channels, most, memory);
    for (size_t i = 0; i < scratch.input_ld; ++i) {
        scratch.zeros[i] = 0.0f;
    }
    while (begin < end) {
        // Blocks of even size; where tiles of the product have few rows, whole ones before the last two.
        const size_t left = end - begin;
        const size_t tiles =
            kRowTile == 4 && left >= 2 * most ? most : divide_up(left, divide_up(left, most));
        transform_input_block(args, begin, tiles, scratch);
        for (size_t channel = 0; channel < args.out_channels; channel += kPanelColumns) {
            multiply_block(args, tiles, scratch, channel);
            transform_output_block(args, finish, begin, tiles, scratch, channel);
        }
        begin += tiles;
    }
}

}  // namespace
}  // namespace mobileinst
