#pragma once

#include <algorithm>
#include <cmath>

#include "kernels/attention/attention.h"
#include "kernels/epilogue_ref.h"

namespace mobileinst {
namespace {

size_t attention_scratch_size_ref(const AttentionArgs& args) { return args.key.pixels() * sizeof(float); }

void attention_attend_ref(const AttentionArgs& args, size_t head, size_t row, float* weights) {
    const Map<const float> query(args.query), keys(args.key), values(args.value);
    const size_t key_dim = keys.channels / args.heads, value_dim = values.channels / args.heads;
    const float* q = query.pixel(row) + head * key_dim;
    double largest = -INFINITY, total = 0.0;
    for (size_t j = 0; j < keys.pixels(); ++j) {
        const float* k = keys.pixel(j) + head * key_dim;
        double score = 0.0;
        for (size_t d = 0; d < key_dim; ++d) {
            score += static_cast<double>(q[d]) * k[d];
        }
        weights[j] = static_cast<float>(score * args.scale);
        largest = std::max<double>(largest, weights[j]);
    }
    for (size_t j = 0; j < keys.pixels(); ++j) {
        weights[j] = static_cast<float>(std::exp(weights[j] - largest));
        total += weights[j];
    }
    for (size_t d = 0; d < value_dim; ++d) {
        double sum = 0.0;
        for (size_t j = 0; j < keys.pixels(); ++j) {
            sum += static_cast<double>(weights[j]) * values.pixel(j)[head * value_dim + d];
        }
        Map<float>(args.output).pixel(row)[head * value_dim + d] =
            static_cast<float>(activate_ref(sum / total, args.activation));
    }
}

void attention_run_ref(const AttentionArgs& args, size_t begin, size_t end, void* scratch) {
    for (size_t head = begin; head < end; ++head) {
        for (size_t row = 0; row < args.query.pixels(); ++row) {
            attention_attend_ref(args, head, row, static_cast<float*>(scratch));
        }
    }
}

constexpr AttentionKernels kAttentionRef = {attention_scratch_size_ref, attention_run_ref};

}  // namespace
}  // namespace mobileinst
