#pragma once

// Attention head by head: the head's keys are transposed once into scratch, then kRows queries at a time get
// their scores, softmax and weighted values while everything is in the first cache.

#include "core/finish.inl.h"
#include "core/simd_math.inl.h"
#include "kernels/attention/attention.h"

namespace mobileinst {
namespace {

constexpr size_t kRows = 4;
constexpr float kFarBelow = -1e30f;  // score of the padding after the last key

size_t padded_keys(const AttentionArgs& args) { return round_up(args.keys, Vec::kWidth); }

/// Transposed keys (key_dim, padded keys) and scores (kRows, padded keys).
size_t scratch_size(const AttentionArgs& args) { return padded_keys(args) * (args.key_dim + kRows); }

void transpose_keys(const AttentionArgs& args, size_t head, float* transposed) {
    const size_t padded = padded_keys(args);
    for (size_t j = 0; j < args.keys; ++j) {
        const float* key = args.key + j * args.key_ld + head * args.key_dim;
        for (size_t d = 0; d < args.key_dim; ++d) {
            transposed[d * padded + j] = key[d];
        }
    }
    for (size_t d = 0; d < args.key_dim; ++d) {
        for (size_t j = args.keys; j < padded; ++j) {
            transposed[d * padded + j] = 0.0f;
        }
    }
}

/// Scaled scores of `rows` queries into `scores`; the padding gets kFarBelow.
template <size_t kCount>
void score_rows(const AttentionArgs& args, size_t head, size_t first, const float* transposed,
                float* scores) {
    const size_t padded = padded_keys(args);
    const float* query = args.query + first * args.query_ld + head * args.key_dim;
    const Vec scale = Vec::fill(args.scale);
    for (size_t j = 0; j < padded; j += Vec::kWidth) {
        Vec sum[kCount];
        for (size_t r = 0; r < kCount; ++r) {
            sum[r] = Vec::zero();
        }
        for (size_t d = 0; d < args.key_dim; ++d) {
            const Vec key = Vec::load(transposed + d * padded + j);
            for (size_t r = 0; r < kCount; ++r) {
                sum[r] = fma(Vec::broadcast(query + r * args.query_ld + d), key, sum[r]);
            }
        }
        for (size_t r = 0; r < kCount; ++r) {
            (sum[r] * scale).store(scores + r * padded + j);
        }
    }
    for (size_t r = 0; r < kCount; ++r) {
        for (size_t j = args.keys; j < padded; ++j) {
            scores[r * padded + j] = kFarBelow;
        }
    }
}

/// Replaces scores by exp(score - largest); returns their sum. Padding becomes e^-87, far below a rounding
/// error.
float soften(float* scores, size_t keys, size_t padded) {
    Vec largest = Vec::load(scores);
    for (size_t j = Vec::kWidth; j < padded; j += Vec::kWidth) {
        largest = larger_of(largest, Vec::load(scores + j));
    }
    const Vec top = Vec::fill(largest_lane(largest));
    for (size_t j = 0; j < padded; j += Vec::kWidth) {
        exponential(Vec::load(scores + j) - top).store(scores + j);
    }
    for (size_t j = keys; j < padded; ++j) {
        scores[j] = 0.0f;
    }
    Vec sum = Vec::zero();
    for (size_t j = 0; j < padded; j += Vec::kWidth) {
        sum = sum + Vec::load(scores + j);
    }
    return sum_of_lanes(sum);
}

template <size_t kCount>
void mix_values(const AttentionArgs& args, const Finish& finish, size_t head, size_t first,
                const float* weights, const float* totals) {
    const size_t padded = padded_keys(args);
    for (size_t d = 0; d < args.value_dim; d += Vec::kWidth) {
        const size_t count = smaller(Vec::kWidth, args.value_dim - d);
        const float* value = args.value + head * args.value_dim + d;
        Vec sum[kCount];
        for (size_t r = 0; r < kCount; ++r) {
            sum[r] = Vec::zero();
        }
        for (size_t j = 0; j < args.keys; ++j) {
            const Vec v = Vec::load_up_to(value + j * args.value_ld, count);
            for (size_t r = 0; r < kCount; ++r) {
                sum[r] = fma(Vec::broadcast(weights + r * padded + j), v, sum[r]);
            }
        }
        for (size_t r = 0; r < kCount; ++r) {
            const Vec y = finish.activate(sum[r] * Vec::fill(1.0f / totals[r]));
            y.store_up_to(args.output + (first + r) * args.output_ld + head * args.value_dim + d, count);
        }
    }
}

template <size_t kCount>
void attend(const AttentionArgs& args, const Finish& finish, size_t head, size_t first,
            const float* transposed, float* scores) {
    score_rows<kCount>(args, head, first, transposed, scores);
    float totals[kCount];
    for (size_t r = 0; r < kCount; ++r) {
        totals[r] = soften(scores + r * padded_keys(args), args.keys, padded_keys(args));
    }
    mix_values<kCount>(args, finish, head, first, scores, totals);
}

void run(const AttentionArgs& args, size_t begin, size_t end, float* scratch) {
    Epilogue epilogue;
    epilogue.activation = args.activation;
    const Finish finish(epilogue);
    float* scores = scratch + padded_keys(args) * args.key_dim;
    for (size_t head = begin; head < end; ++head) {
        transpose_keys(args, head, scratch);
        size_t row = 0;
        for (; row + kRows <= args.queries; row += kRows) {
            attend<kRows>(args, finish, head, row, scratch, scores);
        }
        for (; row < args.queries; ++row) {
            attend<1>(args, finish, head, row, scratch, scores);
        }
    }
}

}  // namespace
}  // namespace mobileinst
