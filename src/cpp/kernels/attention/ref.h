#pragma once

#include <algorithm>
#include <cmath>

#include "kernels/attention/attention.h"
#include "kernels/epilogue_ref.h"

namespace mobileinst {
namespace {

size_t attention_scratch_size_ref(const AttentionArgs& args) { return args.keys; }

void attention_attend_ref(const AttentionArgs& args, size_t head, size_t row, float* weights) {
    const float* q = args.query + row * args.query_ld + head * args.key_dim;
    double largest = -INFINITY, total = 0.0;
    for (size_t j = 0; j < args.keys; ++j) {
        const float* k = args.key + j * args.key_ld + head * args.key_dim;
        double score = 0.0;
        for (size_t d = 0; d < args.key_dim; ++d) {
            score += static_cast<double>(q[d]) * k[d];
        }
        weights[j] = static_cast<float>(score * args.scale);
        largest = std::max<double>(largest, weights[j]);
    }
    for (size_t j = 0; j < args.keys; ++j) {
        weights[j] = static_cast<float>(std::exp(weights[j] - largest));
        total += weights[j];
    }
    for (size_t d = 0; d < args.value_dim; ++d) {
        double sum = 0.0;
        for (size_t j = 0; j < args.keys; ++j) {
            sum +=
                static_cast<double>(weights[j]) * args.value[j * args.value_ld + head * args.value_dim + d];
        }
        args.output[row * args.output_ld + head * args.value_dim + d] =
            static_cast<float>(activate_ref(sum / total, args.activation));
    }
}

void attention_run_ref(const AttentionArgs& args, size_t begin, size_t end, float* scratch) {
    for (size_t head = begin; head < end; ++head) {
        for (size_t row = 0; row < args.queries; ++row) {
            attention_attend_ref(args, head, row, scratch);
        }
    }
}

constexpr AttentionKernels kAttentionRef = {attention_scratch_size_ref, attention_run_ref};

}  // namespace
}  // namespace mobileinst
