#include "kernels/axial_attention/axial_attention.h"

#include <algorithm>
#include <initializer_list>

#include "kernels/attention/attention.h"
#include "kernels/gemm/gemm.h"

namespace mobileinst {
namespace {

enum Step : size_t { kSqueeze = 0, kAttend = 1, kEncode = 2, kSpread = 3 };

/// Blocks of kBlock channels that a map has.
size_t axial_blocks(size_t channels) {
    return (channels + AxialAttentionKernels::kBlock - 1) / AxialAttentionKernels::kBlock;
}

/// Floats of a part, so that the next one is aligned too.
size_t aligned(size_t floats) { return (floats + 15) / 16 * 16; }

size_t axis_size(const AxialAttentionArgs& args, size_t axis) {
    const size_t length = args.length(axis);
    return 2 * aligned(length * args.key_channels()) + 3 * aligned(length * args.value_channels());
}

AttentionArgs attention_of(const AxialAttentionArgs& args, size_t axis) {
    const AxialTokens tokens = axial_tokens(args, axis);
    AttentionArgs attention;
    attention.query = tokens.query;
    attention.key = tokens.key;
    attention.value = tokens.value;
    attention.output = tokens.mixed;
    attention.query_ld = attention.key_ld = args.key_channels();
    attention.value_ld = attention.output_ld = args.value_channels();
    attention.queries = attention.keys = args.length(axis);
    attention.heads = args.heads;
    attention.key_dim = args.key_dim;
    attention.value_dim = args.value_dim;
    attention.scale = args.scale;
    attention.activation = Activation::Relu6;
    return attention;
}

void encode(Tier tier, const AxialAttentionArgs& args, size_t axis, size_t begin, size_t end) {
    const AxialTokens tokens = axial_tokens(args, axis);
    GemmArgs product;
    product.a = tokens.mixed;
    product.c = tokens.encoded;
    product.packed = args.encode[axis];
    product.m = args.length(axis);
    product.lda = product.ldc = product.n = product.k = args.value_channels();
    product.epilogue.bias = args.encode_bias[axis];
    gemm_kernels(tier).run(product, begin, end);
}

/// Calls run(axis, begin, end) for the part of [begin, end) that lies in each axis, whose units follow each
/// other.
template <typename Run>
void per_axis(size_t first_axis_units, size_t begin, size_t end, const Run& run) {
    if (begin < first_axis_units) {
        run(size_t{kRowAxis}, begin, std::min(end, first_axis_units));
    }
    if (end > first_axis_units) {
        run(size_t{kColumnAxis}, std::max(begin, first_axis_units) - first_axis_units,
            end - first_axis_units);
    }
}

}  // namespace

size_t AxialAttentionArgs::key_channels() const { return heads * key_dim; }

size_t AxialAttentionArgs::value_channels() const { return heads * value_dim; }

size_t AxialAttentionArgs::length(size_t axis) const { return axis == kRowAxis ? height : width; }

AxialTokens axial_tokens(const AxialAttentionArgs& args, size_t axis) {
    float* next = args.workspace + (axis == kRowAxis ? 0 : axis_size(args, kRowAxis));
    const auto take = [&](size_t channels) {
        float* part = next;
        next += aligned(args.length(axis) * channels);
        return part;
    };
    AxialTokens tokens;
    tokens.query = take(args.key_channels());
    tokens.key = take(args.key_channels());
    tokens.value = take(args.value_channels());
    tokens.mixed = take(args.value_channels());
    tokens.encoded = take(args.value_channels());
    return tokens;
}

AxialSource axial_source(const AxialAttentionArgs& args, size_t block, size_t* channel) {
    const AxialTokens rows = axial_tokens(args, kRowAxis), columns = axial_tokens(args, kColumnAxis);
    const AxialSource sources[] = {
        {args.query,
         args.query_ld,
         args.key_channels(),
         {rows.query, columns.query},
         {args.query_positions[kRowAxis], args.query_positions[kColumnAxis]}},
        {args.key,
         args.key_ld,
         args.key_channels(),
         {rows.key, columns.key},
         {args.key_positions[kRowAxis], args.key_positions[kColumnAxis]}},
        {args.value, args.value_ld, args.value_channels(), {rows.value, columns.value}, {nullptr, nullptr}}};
    size_t source = 0;
    while (source < 2 && block >= axial_blocks(sources[source].channels)) {
        block -= axial_blocks(sources[source++].channels);
    }
    *channel = block * AxialAttentionKernels::kBlock;
    return sources[source];
}

size_t axial_workspace_size(const AxialAttentionArgs& args) {
    return axis_size(args, kRowAxis) + axis_size(args, kColumnAxis);
}

size_t axial_scratch_size(Tier tier, const AxialAttentionArgs& args) {
    const AttentionKernels& kernels = attention_kernels(tier);
    return std::max(kernels.scratch_size(attention_of(args, kRowAxis)),
                    kernels.scratch_size(attention_of(args, kColumnAxis)));
}

size_t axial_units(const AxialAttentionArgs& args, size_t step) {
    switch (step) {
        case kSqueeze:
            return 2 * axial_blocks(args.key_channels()) + axial_blocks(args.value_channels());
        case kAttend:
            return 2 * args.heads;
        case kEncode:
            return args.height + args.width;
        default:
            return args.height;
    }
}

void axial_attention(Tier tier, const AxialAttentionArgs& args, size_t step, size_t begin, size_t end,
                     float* scratch) {
    switch (step) {
        case kSqueeze:
            return axial_attention_kernels(tier).squeeze(args, begin, end);
        case kAttend:
            return per_axis(args.heads, begin, end, [&](size_t axis, size_t first, size_t last) {
                attention_kernels(tier).run(attention_of(args, axis), first, last, scratch);
            });
        case kEncode:
            return per_axis(args.height, begin, end, [&](size_t axis, size_t first, size_t last) {
                encode(tier, args, axis, first, last);
            });
        default:
            return axial_attention_kernels(tier).spread(args, begin, end);
    }
}

}  // namespace mobileinst
