#pragma once

// Attention head by head, by the tiles of the matrix product: the head's keys and values are packed once,
// then blocks of queries get their scores, softmax and weighted values while everything is in the first
// cache.

#include "kernels/attention/attention.h"
#include "kernels/gemm/panel.h"
#include "simd/math.h"

namespace mobileinst {
namespace {

constexpr size_t kMostRows = 32;     // queries of a block
constexpr float kFarBelow = -1e30f;  // score of the padding after the last key

/// AttentionArgs of floats.
struct AttentionView {
    Map<const float> query, key, value;
    Map<float> output;
    size_t queries, keys, heads, key_dim, value_dim;
    float scale;

    explicit AttentionView(const AttentionArgs& args)
        : query(args.query),
          key(args.key),
          value(args.value),
          output(args.output),
          queries(query.pixels()),
          keys(key.pixels()),
          heads(args.heads),
          key_dim(key.channels / heads),
          value_dim(value.channels / heads),
          scale(args.scale) {}
};

size_t padded_keys(const AttentionView& args) { return round_up(args.keys, Vec<float>::kWidth); }

/// Queries of a block: even blocks of whole tiles.
size_t block_rows(const AttentionView& args) {
    return round_up(divide_up(args.queries, divide_up(args.queries, kMostRows)), kRowTile);
}

/// What one head needs.
struct HeadScratch {
    float *keys, *values;    // packed: (key_dim, keys) and (keys, value_dim)
    float *scores, *shares;  // (block, padded keys), (block,)

    HeadScratch(const AttentionView& args, float* scratch)
        : keys(scratch),
          values(keys + packed_elements(args.keys, args.key_dim)),
          scores(values + packed_elements(args.value_dim, args.keys)),
          shares(scores + block_rows(args) * padded_keys(args)) {}
};

size_t attention_scratch_size(const AttentionArgs& args_) {
    const AttentionView args(args_);
    return sizeof(float) *
           (packed_elements(args.keys, args.key_dim) + packed_elements(args.value_dim, args.keys) +
            block_rows(args) * (padded_keys(args) + 1));
}

/// The head's keys times the scale, as weights of the product with its queries.
void pack_keys(const AttentionView& args, size_t head, float* packed) {
    for (size_t first = 0; first < args.keys; first += kPanelColumns) {
        const size_t columns = panel_columns(args.keys, first),
                     existing = smaller(columns, args.keys - first);
        for (size_t j = 0; j < columns; ++j) {
            const float* key = args.key.data + (first + j) * args.key.ld + head * args.key_dim;
            for (size_t d = 0; d < args.key_dim; ++d) {
                packed[d * columns + j] = j < existing ? key[d] * args.scale : 0.0f;
            }
        }
        packed += args.key_dim * columns;
    }
}

/// A whole panel of values.
inline void pack_whole_values(const float* value, size_t ld, size_t keys, float* packed) {
    for (size_t j = 0; j < keys; ++j, value += ld, packed += kPanelColumns) {
        Vec<float> x[kPanelVectors];
#pragma GCC unroll 4
        for (size_t v = 0; v < kPanelVectors; ++v) {
            x[v] = Vec<float>::load(value + v * Vec<float>::kWidth);
        }
#pragma GCC unroll 4
        for (size_t v = 0; v < kPanelVectors; ++v) {
            x[v].store(packed + v * Vec<float>::kWidth);
        }
    }
}

/// The head's values as weights of the product with the shares.
void pack_values(const AttentionView& args, size_t head, float* packed) {
    for (size_t first = 0; first < args.value_dim; first += kPanelColumns) {
        const size_t columns = panel_columns(args.value_dim, first);
        const float* value = args.value.data + head * args.value_dim + first;
        if (kVecTier == Tier::Neon && args.value_dim - first >= kPanelColumns) {
            pack_whole_values(value, args.value.ld, args.keys, packed);
            packed += args.keys * kPanelColumns;
            continue;
        }
        for (size_t j = 0; j < args.keys; ++j, value += args.value.ld) {
            for (size_t d = 0; d < columns; d += Vec<float>::kWidth, packed += Vec<float>::kWidth) {
                Vec<float>::load_up_to(value + d, args.value_dim - first - d).store(packed);
            }
        }
    }
}

/// Scores of `rows` queries; the padding gets kFarBelow.
void score_rows(const AttentionView& args, size_t head, size_t first, size_t rows,
                const HeadScratch& scratch) {
    const size_t padded = padded_keys(args);
    const float* query = args.query.data + first * args.query.ld + head * args.key_dim;
    for (size_t key = 0; key < args.keys; key += kPanelColumns) {
        gemm_panel(query, args.query.ld, rows, scratch.keys + key * args.key_dim,
                   panel_columns(args.keys, key) / Vec<float>::kWidth, args.key_dim,
                   RawRows{scratch.scores + key, padded});
    }
    for (size_t r = 0; r < rows; ++r) {
        for (size_t j = args.keys; j < padded; ++j) {
            scratch.scores[r * padded + j] = kFarBelow;
        }
    }
}

/// Replaces VECTORS vectors of scores by exp(score - top); returns their sum.
template <int VECTORS>
inline __attribute__((always_inline)) Vec<float> soften_vectors(float* scores, Vec<float> top) {
    Vec<float> x[VECTORS];
#pragma GCC unroll 4
    for (int i = 0; i < VECTORS; ++i) {
        x[i] = exponential(Vec<float>::load(scores + i * Vec<float>::kWidth) - top);
    }
    Vec<float> sum = x[0];
#pragma GCC unroll 4
    for (int i = 0; i < VECTORS; ++i) {
        sum = i == 0 ? sum : sum + x[i];
        x[i].store(scores + i * Vec<float>::kWidth);
    }
    return sum;
}

/// Replaces scores by exp(score - largest); returns their sum. Padding becomes e^-87, far below a rounding
/// error of the sum, and is not read afterwards.
float soften(float* scores, size_t padded) {
    Vec<float> largest = Vec<float>::load(scores);
#pragma GCC unroll 4
    for (size_t j = Vec<float>::kWidth; j < padded; j += Vec<float>::kWidth) {
        largest = larger_of(largest, Vec<float>::load(scores + j));
    }
    const Vec<float> top = Vec<float>::fill(largest_lane(largest));
    constexpr int kTogether = 3;
    Vec<float> sum = Vec<float>::zero();
    size_t j = 0;
    for (; j + kTogether * Vec<float>::kWidth <= padded; j += kTogether * Vec<float>::kWidth) {
        sum = sum + soften_vectors<kTogether>(scores + j, top);
    }
    for (; j < padded; j += Vec<float>::kWidth) {
        sum = sum + soften_vectors<1>(scores + j, top);
    }
    return sum_of_lanes(sum);
}

/// Where weighted sums of values go: each row times its factor, with the activation.
struct SharedRows {
    const float* factors;
    EpilogueRows rows;

    Vec<float> start(size_t) const { return Vec<float>::zero(); }

    template <int ROWS, int VECTORS>
    inline __attribute__((always_inline)) void store(Vec<float> (&acc)[ROWS][VECTORS]) const {
#pragma GCC unroll 16
        for (int r = 0; r < ROWS; ++r) {
            const Vec<float> factor = Vec<float>::broadcast(factors + r);
#pragma GCC unroll 4
            for (int v = 0; v < VECTORS; ++v) {
                acc[r][v] = acc[r][v] * factor;
            }
        }
        rows.store(acc);
    }

    bool describe(TileTarget* /*target*/) const { return false; }

    SharedRows below(size_t count) const { return {factors + count, rows.below(count)}; }
};

void mix_values(const AttentionView& args, const VecEpilogue& epilogue, size_t head, size_t first,
                size_t rows, const HeadScratch& scratch) {
    for (size_t d = 0; d < args.value_dim; d += kPanelColumns) {
        float* output = args.output.data + first * args.output.ld + head * args.value_dim + d;
        gemm_panel(scratch.scores, padded_keys(args), rows, scratch.values + d * args.keys,
                   panel_columns(args.value_dim, d) / Vec<float>::kWidth, args.keys,
                   SharedRows{scratch.shares, {&epilogue, output, args.output.ld, 0, 0, args.value_dim - d}});
    }
}

void attention_run(const AttentionArgs& args_, size_t begin, size_t end, void* memory) {
    const AttentionView args(args_);
    const VecEpilogue epilogue(args_.activation);
    const HeadScratch scratch(args, static_cast<float*>(memory));
    const size_t padded = padded_keys(args), most = block_rows(args);
    for (size_t head = begin; head < end; ++head) {
        pack_keys(args, head, scratch.keys);
        pack_values(args, head, scratch.values);
        for (size_t first = 0; first < args.queries; first += most) {
            const size_t rows = smaller(most, args.queries - first);
            score_rows(args, head, first, rows, scratch);
            for (size_t r = 0; r < rows; ++r) {
                scratch.shares[r] = 1.0f / soften(scratch.scores + r * padded, padded);
            }
            mix_values(args, epilogue, head, first, rows, scratch);
        }
    }
}

constexpr AttentionKernels kAttention = {attention_scratch_size, attention_run};

}  // namespace
}  // namespace mobileinst
