#include "kernels/axial_attention/axial_attention.h"

#include <algorithm>
#include <initializer_list>

#include "core/aligned_buffer.h"
#include "kernels/attention/attention.h"
#include "kernels/convolution/convolution.h"
#include "kernels/kernel_table.h"

namespace mobileinst {
namespace {

enum Step : size_t { kSqueeze = 0, kAttend = 1, kEncode = 2, kSpread = 3 };

/// Blocks of kBlock channels that a map has.
size_t axial_blocks(size_t channels) {
    return (channels + AxialAttentionKernels::kBlock - 1) / AxialAttentionKernels::kBlock;
}

/// Bytes of a part of the workspace.
size_t part_size(const AxialAttentionArgs& args, size_t axis, size_t channels) {
    return whole_cache_lines(args.length(axis) * channels * sizeof(float));
}

size_t axis_size(const AxialAttentionArgs& args, size_t axis) {
    return 2 * part_size(args, axis, args.key.channels) + 3 * part_size(args, axis, args.value.channels);
}

AttentionArgs attention_of(const AxialAttentionArgs& args, size_t axis) {
    const AxialTokens tokens = axial_tokens(args, axis);
    const size_t length = args.length(axis);
    AttentionArgs attention;
    attention.query = float_matrix(tokens.query, length, args.key.channels);
    attention.key = float_matrix(tokens.key, length, args.key.channels);
    attention.value = float_matrix(tokens.value, length, args.value.channels);
    attention.output = float_matrix(tokens.mixed, length, args.value.channels);
    attention.heads = args.heads;
    attention.scale = args.scale;
    attention.activation = Activation::Relu6;
    return attention;
}

void encode(Tier tier, const AxialAttentionArgs& args, size_t axis, size_t begin, size_t end) {
    const AxialTokens tokens = axial_tokens(args, axis);
    ConvArgs product;
    product.input = float_matrix(tokens.mixed, args.length(axis), args.value.channels);
    product.output = float_matrix(tokens.encoded, args.length(axis), args.value.channels);
    product.packed = args.encode[axis];
    product.epilogue.bias = args.encode_bias[axis];
    kernels_of(tier, &KernelTable::gemm).run(product, begin, end, nullptr);
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

size_t AxialAttentionArgs::length(size_t axis) const { return axis == kRowAxis ? value.height : value.width; }

AxialTokens axial_tokens(const AxialAttentionArgs& args, size_t axis) {
    char* next = static_cast<char*>(args.workspace) + (axis == kRowAxis ? 0 : axis_size(args, kRowAxis));
    const auto take = [&](size_t channels) {
        float* part = reinterpret_cast<float*>(next);
        next += part_size(args, axis, channels);
        return part;
    };
    AxialTokens tokens;
    tokens.query = take(args.key.channels);
    tokens.key = take(args.key.channels);
    tokens.value = take(args.value.channels);
    tokens.mixed = take(args.value.channels);
    tokens.encoded = take(args.value.channels);
    return tokens;
}

AxialSource axial_source(const AxialAttentionArgs& args, size_t block, size_t* channel) {
    const AxialTokens rows = axial_tokens(args, kRowAxis), columns = axial_tokens(args, kColumnAxis);
    const AxialSource sources[] = {
        {args.query,
         {rows.query, columns.query},
         {args.query_positions[kRowAxis], args.query_positions[kColumnAxis]}},
        {args.key, {rows.key, columns.key}, {args.key_positions[kRowAxis], args.key_positions[kColumnAxis]}},
        {args.value, {rows.value, columns.value}, {nullptr, nullptr}}};
    size_t source = 0;
    while (source < 2 && block >= axial_blocks(sources[source].map.channels)) {
        block -= axial_blocks(sources[source++].map.channels);
    }
    *channel = block * AxialAttentionKernels::kBlock;
    return sources[source];
}

size_t axial_workspace_size(const AxialAttentionArgs& args) {
    return axis_size(args, kRowAxis) + axis_size(args, kColumnAxis);
}

size_t axial_scratch_size(Tier tier, const AxialAttentionArgs& args) {
    const AttentionKernels& kernels = kernels_of(tier, &KernelTable::attention);
    return std::max(kernels.scratch_size(attention_of(args, kRowAxis)),
                    kernels.scratch_size(attention_of(args, kColumnAxis)));
}

size_t axial_units(const AxialAttentionArgs& args, size_t step) {
    switch (step) {
        case kSqueeze:
            return 2 * axial_blocks(args.key.channels) + axial_blocks(args.value.channels);
        case kAttend:
            return 2 * args.heads;
        case kEncode:
            return args.value.height + args.value.width;
        default:
            return args.value.height;
    }
}

void axial_attention(Tier tier, const AxialAttentionArgs& args, size_t step, size_t begin, size_t end,
                     void* scratch) {
    switch (step) {
        case kSqueeze:
            return kernels_of(tier, &KernelTable::axial_attention, args.value.dtype)
                .squeeze(args, begin, end);
        case kAttend:
            return per_axis(args.heads, begin, end, [&](size_t axis, size_t first, size_t last) {
                kernels_of(tier, &KernelTable::attention).run(attention_of(args, axis), first, last, scratch);
            });
        case kEncode:
            return per_axis(args.value.height, begin, end, [&](size_t axis, size_t first, size_t last) {
                encode(tier, args, axis, first, last);
            });
        default:
            return kernels_of(tier, &KernelTable::axial_attention, args.value.dtype).spread(args, begin, end);
    }
}

}  // namespace mobileinst
