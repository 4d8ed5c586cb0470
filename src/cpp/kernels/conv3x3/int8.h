#pragma once

// 3x3 convolution of 8-bit integers by Winograd's F(4x4, 3x3) in 16-bit integers, which loses nothing: with
// the points 0, 1, -1, 2, -2 and infinity the input transform multiplies by whole numbers, and so does that
// of the weights when each row's denominator is left out and brought back behind the products. The sums are
// those of the direct convolution, at a quarter of its multiply-adds, each of which costs two of bytes.
//
// Ranges: |d| <= 255 for an input less its zero, |V| <= 100 * 255 < 2^15 after the input transform,
// |U| <= 49 * 127 < 2^15 for weights. Sums of products wrap round modulo 2^32; from them comes 576 times the
// wanted sum, so that it is known modulo 2^26. Filters whose sums may reach 2^25 are computed directly.
//
// Packed weights: whether they are transformed (int32, in 64 bytes); per panel of output channels, per
// position, (in channels / 2, columns, 2), filled up with zeros; the weights as they are, for filters that
// are computed directly.

#include <cstring>

#include "kernels/conv3x3/conv3x3.h"
#include "kernels/convolution/int8_ref.h"
#include "kernels/gemm/int8.h"

namespace mobileinst {
namespace {

constexpr size_t kExactOutputs = 4, kExactInputs = 6, kExactPositions = kExactInputs * kExactInputs;
/// Channels of a vector of 16-bit integers, which inputs are filled up to.
constexpr size_t kExactLanes = Shorts::kWidth;
constexpr size_t kExactPanel = kInt8Panel;
/// Largest sum of a filter's absolute integers whose products with inputs stay below 2^25.
constexpr int32_t kExactWeight = (1 << 25) / 255;

inline size_t exact_depth(size_t channels) { return int8_round_up(channels, kExactLanes); }

/// Integers of the transformed weights.
inline size_t exact_weights(const ConvSpec& spec) {
    return kExactPositions * exact_depth(spec.in_channels) * int8_round_up(spec.out_channels, kInt8Columns);
}

size_t exact_packed_size(const ConvSpec& spec) {
    return 64 + exact_weights(spec) * sizeof(int16_t) + spec.weight_count();
}

/// One dimension of the weight transform, times 4, 6, 6, 24, 24 and 1.
inline void exact_transform_weights(const int32_t (&g)[3], int32_t (&u)[kExactInputs]) {
    u[0] = g[0];
    u[1] = -(g[0] + g[1] + g[2]);
    u[2] = -(g[0] - g[1] + g[2]);
    u[3] = g[0] + 2 * g[1] + 4 * g[2];
    u[4] = g[0] - 2 * g[1] + 4 * g[2];
    u[5] = g[2];
}

/// Both dimensions, of the nine weights of a filter's channel.
inline void exact_transform_filter(const float* weight, int32_t (&u)[kExactPositions]) {
    int32_t half[3][kExactInputs];
    for (size_t x = 0; x < 3; ++x) {
        const int32_t column[3] = {static_cast<int32_t>(weight[x]), static_cast<int32_t>(weight[3 + x]),
                                   static_cast<int32_t>(weight[6 + x])};
        exact_transform_weights(column, half[x]);
    }
    for (size_t y = 0; y < kExactInputs; ++y) {
        const int32_t row[3] = {half[0][y], half[1][y], half[2][y]};
        int32_t transformed[kExactInputs];
        exact_transform_weights(row, transformed);
        std::memcpy(u + y * kExactInputs, transformed, sizeof(transformed));
    }
}

inline bool exact_fits(const ConvSpec& spec, const float* weight) {
    const size_t count = spec.in_channels * 9;
    for (size_t channel = 0; channel < spec.out_channels; ++channel, weight += count) {
        int32_t sum = 0;
        for (size_t i = 0; i < count; ++i) {
            const auto w = static_cast<int32_t>(weight[i]);
            sum += w < 0 ? -w : w;
        }
        if (sum >= kExactWeight) {
            return false;
        }
    }
    return true;
}

void exact_pack(const ConvSpec& spec, const float* weight, void* packed) {
    const size_t inputs = spec.in_channels, outputs = spec.out_channels, depth = exact_depth(inputs);
    const int32_t transformed = exact_fits(spec, weight) ? 1 : 0;
    std::memset(packed, 0, 64 + exact_weights(spec) * sizeof(int16_t));
    std::memcpy(packed, &transformed, sizeof(transformed));
    auto* to = reinterpret_cast<int16_t*>(static_cast<char*>(packed) + 64);
    conv_int8_pack_ref(spec, weight, to + exact_weights(spec));
    for (size_t first = 0; first < outputs; first += kExactPanel) {
        const size_t columns = int8_vectors(outputs, first) * kInt8Columns;
        for (size_t j = 0; j < columns && first + j < outputs; ++j) {
            for (size_t i = 0; i < inputs; ++i) {
                int32_t u[kExactPositions];
                exact_transform_filter(weight + ((first + j) * inputs + i) * 9, u);
                for (size_t position = 0; position < kExactPositions; ++position) {
                    to[((position * depth + i / 2 * 2) * columns) + j * 2 + i % 2] =
                        static_cast<int16_t>(u[position]);
                }
            }
        }
        to += kExactPositions * depth * columns;
    }
}

/// Tiles that are transformed together: as many as the second-level cache holds with a panel of products.
inline size_t exact_tiles(size_t in_channels) {
    constexpr size_t kBytes = size_t{900} << 10;
    const size_t per_tile = kExactPositions * (exact_depth(in_channels) * 2 + kExactPanel * 4);
    const size_t fitting = kBytes / per_tile / kInt8RowStep * kInt8RowStep;
    return fitting < kInt8RowStep ? kInt8RowStep : int8_smaller(fitting, 4 * kInt8RowStep);
}

/// The scratch of one run: transformed inputs (positions, tiles, channels), sums of products (positions,
/// tiles, panel columns), and a pixel that stands for 0. Positions lie apart by more than their values, lest
/// they fall on the same cache sets.
struct ExactScratch {
    size_t depth, input_position, sum_position;
    int16_t* input;
    int32_t* sums;
    int8_t* outside;

    ExactScratch(size_t in_channels, void* memory)
        : depth(exact_depth(in_channels)),
          input_position(exact_tiles(in_channels) * depth + 32),
          sum_position(exact_tiles(in_channels) * kExactPanel + 16),
          input(static_cast<int16_t*>(memory)),
          sums(reinterpret_cast<int32_t*>(input + kExactPositions * input_position)),
          outside(reinterpret_cast<int8_t*>(sums + kExactPositions * sum_position)) {}

    size_t bytes() const {
        return kExactPositions * (input_position * sizeof(int16_t) + sum_position * sizeof(int32_t)) + depth;
    }
};

size_t exact_scratch_size(const ConvArgs& args) { return ExactScratch(args.input.channels, nullptr).bytes(); }

inline size_t exact_tiles_across(size_t side) { return (side + kExactOutputs - 1) / kExactOutputs; }

size_t exact_units(const ConvArgs& args) {
    return exact_tiles_across(args.output.height) * exact_tiles_across(args.output.width);
}

/// The first output of a tile.
struct ExactTile {
    size_t y, x;

    ExactTile(const Tensor& map, size_t index)
        : y(index / exact_tiles_across(map.width) * kExactOutputs),
          x(index % exact_tiles_across(map.width) * kExactOutputs) {}
};

/// One dimension of the input transform, in place.
inline __attribute__((always_inline)) void exact_transform_input(Shorts (&d)[kExactInputs]) {
    const Shorts a = d[4] - d[2], b = d[3] - d[1];
    const Shorts even = d[4] - d[2].times<4>(), odd = d[3] - d[1].times<4>();
    d[0] = (d[0] - d[2]).times<4>() + a;
    d[5] = (d[5] - d[3]) - b.times<4>();
    d[1] = even + odd;
    d[2] = even - odd;
    d[3] = a + b.times<2>();
    d[4] = a - b.times<2>();
}

/// The transformed inputs of a tile.
inline void exact_input_tile(const Map<const int8_t>& map, Shorts zero, const ExactTile& tile,
                             const ExactScratch& scratch, int16_t* output) {
    const int8_t* pixels[kExactInputs][kExactInputs];
    for (size_t i = 0; i < kExactInputs; ++i) {
        for (size_t j = 0; j < kExactInputs; ++j) {
            const size_t y = tile.y + i - 1, x = tile.x + j - 1;  // wraps round when outside
            pixels[i][j] = y < map.height && x < map.width ? map.pixel(y * map.width + x) : scratch.outside;
        }
    }
    for (size_t c = 0; c < map.channels; c += kExactLanes, output += kExactLanes) {
        const size_t count = int8_smaller(kExactLanes, map.channels - c);
        Shorts half[kExactInputs][kExactInputs];
        for (size_t j = 0; j < kExactInputs; ++j) {
            Shorts d[kExactInputs];
#pragma GCC unroll 6
            for (size_t i = 0; i < kExactInputs; ++i) {
                d[i] = Shorts::load_bytes(pixels[i][j] + c, count) - zero;
            }
            exact_transform_input(d);
#pragma GCC unroll 6
            for (size_t i = 0; i < kExactInputs; ++i) {
                half[i][j] = d[i];
            }
        }
        for (size_t i = 0; i < kExactInputs; ++i) {
            exact_transform_input(half[i]);
#pragma GCC unroll 6
            for (size_t j = 0; j < kExactInputs; ++j) {
                half[i][j].store(output + (i * kExactInputs + j) * scratch.input_position);
            }
        }
    }
}

/// One dimension of the output transform: six sums to the first four, in place, which are 24, 12, 6 and 6
/// times the wanted ones.
inline __attribute__((always_inline)) void exact_transform_output(Sums (&m)[kExactInputs]) {
    const Sums sum1 = m[1] + m[2], difference1 = m[1] - m[2], sum2 = m[3] + m[4], difference2 = m[3] - m[4];
    m[0] = (m[0] + sum1).times<4>() + (m[0].times<2>() + sum2);
    m[1] = difference1.times<2>() + difference2;
    m[2] = sum1 + sum2;
    m[3] = difference1 + (difference2 + m[5] + m[5].times<2>()).times<2>();
}

/// What is left of those factors once 3 is taken out: powers of 2.
constexpr int kExactShifts[kExactOutputs] = {3, 2, 1, 1};

/// Where sums go: integers of a table or with a residual one by one, others in vectors.
struct ExactTarget {
    const ConvArgs& args;
    Int8Mode mode;

    explicit ExactTarget(const ConvArgs& args_) : args(args_), mode(int8_mode(args_)) {}

    /// `count` sums of a pixel from a channel on.
    inline __attribute__((always_inline)) void store(Sums sums, size_t pixel, size_t channel,
                                                     size_t count) const {
        const Requantisation& to = args.requantisation;
        if (mode == Int8Mode::Plain) {
            store_rounded(scaled(sums, to.scale + channel, to.shift + channel),
                          Map<int8_t>(args.output).pixel(pixel) + channel, count);
        } else if (mode == Int8Mode::Floats && args.epilogue.residual.data == nullptr) {
            const Floats v = scaled(sums, to.scale + channel, to.shift + channel);
            Vec<float>{limited(v, to.low, to.high)}.store_up_to(
                Map<float>(args.output).pixel(pixel) + channel, count);
        } else {
            alignas(64) int32_t values[kInt8Columns];
            sums.store(values);
            for (size_t i = 0; i < count; ++i) {
                store_requantised(args, values[i] - to.offset[channel + i], pixel, channel + i);
            }
        }
    }
};

/// The outputs of a tile for a vector of channels.
inline void exact_output_tile(const ExactTarget& target, const ExactTile& tile, const int32_t* sums,
                              size_t step, size_t channel) {
    const Tensor& map = target.args.output;
    const size_t count = int8_smaller(kInt8Columns, map.channels - channel);
    const size_t rows = int8_smaller(kExactOutputs, map.height - tile.y),
                 columns = int8_smaller(kExactOutputs, map.width - tile.x);
    Sums half[kExactOutputs][kExactInputs];
    for (size_t j = 0; j < kExactInputs; ++j) {
        Sums m[kExactInputs];
#pragma GCC unroll 6
        for (size_t i = 0; i < kExactInputs; ++i) {
            m[i] = Sums::load(sums + (i * kExactInputs + j) * step);
        }
        exact_transform_output(m);
#pragma GCC unroll 4
        for (size_t i = 0; i < kExactOutputs; ++i) {
            half[i][j] = m[i];
        }
    }
    for (size_t i = 0; i < rows; ++i) {
        exact_transform_output(half[i]);
        const size_t pixel = (tile.y + i) * map.width + tile.x;
#pragma GCC unroll 4
        for (size_t j = 0; j < kExactOutputs; ++j) {
            if (j < columns) {
                target.store(half[i][j].divided(kExactShifts[i] + kExactShifts[j]), pixel + j, channel,
                             count);
            }
        }
    }
}

template <int VECTORS>
void exact_products(size_t vectors, const ExactScratch& scratch, size_t tiles, const int16_t* panel) {
    if constexpr (VECTORS > kInt8LeastVectors) {
        if (vectors < VECTORS) {
            return exact_products<VECTORS - 1>(vectors, scratch, tiles, panel);
        }
    }
    constexpr size_t kRows = kInt8Rows<VECTORS>, kColumns = VECTORS * kInt8Columns;
    for (size_t position = 0; position < kExactPositions; ++position) {
        const int16_t* input = scratch.input + position * scratch.input_position;
        int32_t* sums = scratch.sums + position * scratch.sum_position;
        for (size_t row = 0; row < tiles; row += kRows) {
            pair_tile<VECTORS>(input + row * scratch.depth, scratch.depth, panel, sums + row * kExactPanel,
                               kExactPanel);
        }
        panel += scratch.depth * kColumns;
    }
}

/// Outputs of tiles [begin, end), one sum at a time.
void exact_run_directly(const ConvArgs& args, const void* weights, size_t begin, size_t end) {
    ConvArgs plain = args;
    plain.packed = weights;
    const size_t width = args.output.width;
    for (size_t index = begin; index < end; ++index) {
        const ExactTile tile(args.output, index);
        for (size_t y = tile.y; y < int8_smaller(tile.y + kExactOutputs, args.output.height); ++y) {
            const size_t last = int8_smaller(tile.x + kExactOutputs, width);
            conv_int8_pixels_ref(plain, y * width + tile.x, y * width + last, nullptr);
        }
    }
}

void exact_run(const ConvArgs& args, size_t begin, size_t end, void* memory) {
    const size_t outputs = args.output.channels;
    const ConvSpec spec{args.input.channels, outputs, 3, 1, 1};
    const auto* weights = reinterpret_cast<const int16_t*>(static_cast<const char*>(args.packed) + 64);
    int32_t transformed;
    std::memcpy(&transformed, args.packed, sizeof(transformed));
    if (transformed == 0) {
        return exact_run_directly(args, weights + exact_weights(spec), begin, end);
    }
    const ExactScratch scratch(args.input.channels, memory);
    const int32_t zero = args.input.quantisation.zero;
    std::memset(scratch.outside, static_cast<uint8_t>(zero), scratch.depth);
    const Map<const int8_t> input(args.input);
    const ExactTarget target(args);
    const size_t most = exact_tiles(args.input.channels);
    while (begin < end) {
        const size_t left = end - begin, blocks = (left + most - 1) / most;
        const size_t tiles = (left + blocks - 1) / blocks;
        for (size_t t = 0; t < tiles; ++t) {
            exact_input_tile(input, Shorts::fill(zero), ExactTile(args.output, begin + t), scratch,
                             scratch.input + t * scratch.depth);
        }
        const int16_t* panel = weights;
        for (size_t first = 0; first < outputs; first += kExactPanel) {
            const size_t vectors = int8_vectors(outputs, first);
            exact_products<static_cast<int>(kInt8PanelVectors)>(vectors, scratch, tiles, panel);
            panel += kExactPositions * scratch.depth * vectors * kInt8Columns;
            for (size_t t = 0; t < tiles; ++t) {
                const ExactTile tile(args.output, begin + t);
                for (size_t c = 0; c < kExactPanel && first + c < outputs; c += kInt8Columns) {
                    exact_output_tile(target, tile, scratch.sums + t * kExactPanel + c, scratch.sum_position,
                                      first + c);
                }
            }
        }
        begin += tiles;
    }
}

constexpr ConvKernels kExactWinograd = {exact_packed_size, exact_pack, exact_scratch_size,
                                        exact_units,       exact_run,  1};
constexpr Conv3x3Variants kConv3x3Int8 = {kExactWinograd, kExactWinograd, kExactWinograd};

}  // namespace
}  // namespace mobileinst
