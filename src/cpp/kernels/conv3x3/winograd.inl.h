#pragma once

// 3x3 convolution by Winograd's F(4x4, 3x3) with the points 0, 1, -1, 2, -2 and infinity (Lavin and Gray,
// 2016, arXiv 1509.09308). Include after one of kernels/gemm/shape_*.inl.h.
//
// A block of tiles goes through three steps while it is in the second-level cache: each 6x6 input tile is
// transformed to 36 values per channel; for each of the 36 positions a matrix product over the channels, for
// one panel of output channels at a time; each panel is transformed back to 4x4 outputs. Packed weights: per
// panel of output channels, per position, (in channels, panel columns).

#include "kernels/conv3x3/conv3x3.h"

namespace mobileinst {
namespace {

constexpr size_t kPositions = 36;
constexpr size_t kLinePad = 16;  // keeps the 36 streams from falling on the same cache sets

/// One dimension of the input transform, in place.
inline void transform_input(Vec& d0, Vec& d1, Vec& d2, Vec& d3, Vec& d4, Vec& d5) {
    const Vec two = Vec::fill(2.0f), four = Vec::fill(4.0f), five = Vec::fill(-5.0f),
              minus_four = Vec::fill(-4.0f);
    const Vec even = fma(minus_four, d2, d4), odd = fma(minus_four, d1, d3);
    const Vec even2 = d4 - d2, odd2 = two * (d3 - d1);
    d0 = fma(four, d0, fma(five, d2, d4));
    d5 = fma(four, d1, fma(five, d3, d5));
    d1 = even + odd;
    d2 = even - odd;
    d3 = even2 + odd2;
    d4 = even2 - odd2;
}

/// One dimension of the output transform: six values to the first four, in place.
inline void transform_output(Vec& m0, Vec& m1, Vec& m2, Vec& m3, const Vec& m4, const Vec& m5) {
    const Vec two = Vec::fill(2.0f), four = Vec::fill(4.0f), eight = Vec::fill(8.0f);
    const Vec sum = m1 + m2, difference = m1 - m2, sum2 = m3 + m4, difference2 = m3 - m4;
    m0 = (m0 + sum) + sum2;
    m1 = fma(two, difference2, difference);
    m2 = fma(four, sum2, sum);
    m3 = fma(eight, difference2, difference) + m5;
}

/// One dimension of the weight transform: three weights to six.
inline void transform_weight(const double* g, size_t step, double* u, size_t u_step) {
    const double a = g[0], b = g[step], c = g[2 * step];
    u[0] = a / 4;
    u[u_step] = -(a + b + c) / 6;
    u[2 * u_step] = -(a - b + c) / 6;
    u[3 * u_step] = a / 24 + b / 12 + c / 6;
    u[4 * u_step] = a / 24 - b / 12 + c / 6;
    u[5 * u_step] = c;
}

size_t winograd_packed_size(size_t in_channels, size_t out_channels) {
    return kPositions * gemm_packed_size(out_channels, in_channels);
}

/// Both dimensions of the weight transform: (3, 3) to 36 values `step` apart.
inline void transform_filter(const float* weight, float* output, size_t step) {
    double g[9], half[18], u[kPositions];
    for (size_t tap = 0; tap < 9; ++tap) {
        g[tap] = weight[tap];
    }
    for (size_t x = 0; x < 3; ++x) {
        transform_weight(g + x, 3, half + x, 3);
    }
    for (size_t y = 0; y < 6; ++y) {
        transform_weight(half + 3 * y, 1, u + 6 * y, 1);
    }
    for (size_t position = 0; position < kPositions; ++position) {
        output[position * step] = static_cast<float>(u[position]);
    }
}

void winograd_pack(const float* weight, size_t in_channels, size_t out_channels, float* packed) {
    float block[kPositions * kPanelColumns] = {};  // one input channel's part, so that it is written in runs
    for (size_t first = 0; first < out_channels; first += kPanelColumns) {
        const size_t columns = panel_columns(out_channels, first),
                     existing = smaller(columns, out_channels - first);
        for (size_t i = 0; i < in_channels; ++i) {
            for (size_t j = 0; j < columns; ++j) {
                if (j < existing) {
                    transform_filter(weight + ((first + j) * in_channels + i) * 9, block + j, kPanelColumns);
                } else {
                    for (size_t position = 0; position < kPositions; ++position) {
                        block[position * kPanelColumns + j] = 0.0f;
                    }
                }
            }
            for (size_t position = 0; position < kPositions; ++position) {
                float* run = packed + (position * in_channels + i) * columns;
                for (size_t j = 0; j < columns; ++j) {
                    run[j] = block[position * kPanelColumns + j];
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
    // Fewer than two rows of tiles would read the weights too often.
    return smaller(larger(fitting, 2 * kRowTile), 4 * kRowTile);
}

/// The scratch of one run: transformed input (36, tiles, channels), then products (36, tiles, panel columns).
struct WinogradScratch {
    size_t input_ld, input_position, product_position;
    float* input;
    float* product;

    WinogradScratch(size_t in_channels, size_t tiles, float* scratch)
        : input_ld(round_up(in_channels, Vec::kWidth)),
          input_position(tiles * input_ld + kLinePad),
          product_position(tiles * kPanelColumns + kLinePad),
          input(scratch),
          product(scratch + kPositions * input_position) {}

    size_t size() const { return kPositions * (input_position + product_position); }
};

size_t winograd_scratch_size(size_t in_channels, size_t /*out_channels*/) {
    return WinogradScratch(in_channels, tiles_per_block(in_channels), nullptr).size();
}

/// The tile at a place of the image.
struct Tile {
    size_t y, x;  // of its first output

    Tile(const Conv3x3Args& args, size_t index) {
        const size_t across = divide_up(args.width, 4);
        y = index / across * 4;
        x = index % across * 4;
    }
};

/// Both dimensions of the input transform for one vector of channels. load(row, column) gives the 6x6 values.
template <typename Load>
inline __attribute__((always_inline)) void transform_input_tile(Load&& load, float* output,
                                                                size_t position_step) {
    Vec d[6][6];
#pragma GCC unroll 6
    for (int j = 0; j < 6; ++j) {
#pragma GCC unroll 6
        for (int i = 0; i < 6; ++i) {
            d[i][j] = load(i, j);
        }
        transform_input(d[0][j], d[1][j], d[2][j], d[3][j], d[4][j], d[5][j]);
    }
#pragma GCC unroll 6
    for (int i = 0; i < 6; ++i) {
        transform_input(d[i][0], d[i][1], d[i][2], d[i][3], d[i][4], d[i][5]);
#pragma GCC unroll 6
        for (int j = 0; j < 6; ++j) {
            d[i][j].store(output + (i * 6 + j) * position_step);
        }
    }
}

inline void input_tile_inside(const Conv3x3Args& args, const Tile& tile, float* output,
                              size_t position_step) {
    const size_t row = args.width * args.input_ld;
    const float* corner = args.input + ((tile.y - 1) * args.width + tile.x - 1) * args.input_ld;
    size_t c = 0;
    for (; c + Vec::kWidth <= args.in_channels; c += Vec::kWidth) {
        const float* p = corner + c;
        for (size_t i = 0; i < 6; ++i) {
            for (size_t j = 6; j < 10; ++j) {
                __builtin_prefetch(p + i * row + j * args.input_ld, 0, 2);
            }
        }
        transform_input_tile([&](int i, int j) { return Vec::load(p + i * row + j * args.input_ld); },
                             output + c, position_step);
    }
    if (c < args.in_channels) {
        const float* p = corner + c;
        const size_t count = args.in_channels - c;
        transform_input_tile(
            [&](int i, int j) { return Vec::load_first(p + i * row + j * args.input_ld, count); }, output + c,
            position_step);
    }
}

inline void input_tile_at_border(const Conv3x3Args& args, const Tile& tile, float* output,
                                 size_t position_step) {
    for (size_t c = 0; c < args.in_channels; c += Vec::kWidth) {
        transform_input_tile(
            [&](int i, int j) {
                const size_t y = tile.y + i - 1, x = tile.x + j - 1;  // wraps round when outside
                if (y >= args.height || x >= args.width) {
                    return Vec::zero();
                }
                return Vec::load_up_to(args.input + (y * args.width + x) * args.input_ld + c,
                                       args.in_channels - c);
            },
            output + c, position_step);
    }
}

void transform_input_block(const Conv3x3Args& args, size_t first, size_t tiles,
                           const WinogradScratch& scratch) {
    for (size_t t = 0; t < tiles; ++t) {
        const Tile tile(args, first + t);
        float* output = scratch.input + t * scratch.input_ld;
        if (tile.y > 0 && tile.x > 0 && tile.y + 5 <= args.height && tile.x + 5 <= args.width) {
            input_tile_inside(args, tile, output, scratch.input_position);
        } else {
            input_tile_at_border(args, tile, output, scratch.input_position);
        }
    }
}

/// Both dimensions of the output transform for one vector of channels, and the epilogue.
inline void output_tile(const Conv3x3Args& args, const Finish& finish, const Tile& tile, const float* product,
                        size_t position_step, size_t channel) {
    Vec m[6][6];
#pragma GCC unroll 6
    for (int j = 0; j < 6; ++j) {
#pragma GCC unroll 6
        for (int i = 0; i < 6; ++i) {
            m[i][j] = Vec::load(product + (i * 6 + j) * position_step);
        }
        transform_output(m[0][j], m[1][j], m[2][j], m[3][j], m[4][j], m[5][j]);
    }
    const size_t count = args.out_channels - channel;
    const Vec bias = finish.bias(channel, count);
    const size_t rows = smaller(4, args.height - tile.y), columns = smaller(4, args.width - tile.x);
    for (size_t i = 0; i < 4; ++i) {
        for (size_t j = 4; j < 8; ++j) {
            __builtin_prefetch(
                args.output + ((tile.y + i) * args.width + tile.x + j) * args.output_ld + channel, 1, 3);
        }
    }
#pragma GCC unroll 4
    for (size_t i = 0; i < 4; ++i) {
        transform_output(m[i][0], m[i][1], m[i][2], m[i][3], m[i][4], m[i][5]);
        if (i >= rows) {
            break;
        }
#pragma GCC unroll 4
        for (size_t j = 0; j < 4; ++j) {
            if (j < columns) {
                const size_t pixel = (tile.y + i) * args.width + tile.x + j;
                finish.store(m[i][j] + bias, args.output + pixel * args.output_ld + channel, pixel, channel,
                             count);
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
    return divide_up(args.height, 4) * divide_up(args.width, 4);
}

void winograd_run(const Conv3x3Args& args, size_t begin, size_t end, float* memory) {
    const Finish finish(args.epilogue);
    const size_t most = tiles_per_block(args.in_channels);
    const WinogradScratch scratch(args.in_channels, most, memory);
    while (begin < end) {
        const size_t tiles = divide_up(end - begin, divide_up(end - begin, most));  // blocks of even size
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
