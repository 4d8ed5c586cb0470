#pragma once

// The inverted residual row by row.
//
// The image is cut into strips of columns, so narrow that a strip's work stays in the second-level cache.
// Down a strip, each input row is expanded once, into a ring of as many rows as the kernel has, with zeroed
// columns where the kernel reaches over the image's border; each output row is then filtered into a row
// buffer and projected.

#include "kernels/depthwise/rows.h"
#include "kernels/gemm/vector.h"
#include "kernels/inverted_residual/inverted_residual.h"

namespace mobileinst {
namespace {

/// Floats from one column of the ring to the next: not many times a cache line's, where neighbouring columns
/// would share few of the first-level cache's sets.
inline size_t ring_ld(size_t hidden) {
    constexpr size_t kLine = 16;
    const size_t ld = round_up(hidden, Vec<float>::kWidth);
    return ld % (8 * kLine) == 0 ? ld + kLine : ld;
}

/// Outputs [x, x + columns) of every row, and the input columns that they see.
struct ColumnStrip {
    size_t x, columns;
    size_t ring_columns;               // seen, columns outside the image included
    size_t outside_left, first, seen;  // columns left of the image; first column in it and how many
    size_t hidden_ld;

    ColumnStrip(const InvertedResidualArgs& args, size_t x_, size_t columns_)
        : x(x_), columns(columns_), hidden_ld(ring_ld(args.hidden)) {
        const size_t pad = args.kernel / 2, left = x * args.stride;
        ring_columns = (columns - 1) * args.stride + args.kernel;
        outside_left = left < pad ? pad - left : 0;
        first = left + outside_left - pad;
        seen = smaller(args.width, left + ring_columns - pad) - first;
    }

    size_t ring_row() const { return ring_columns * hidden_ld; }
    size_t outside_right() const { return ring_columns - outside_left - seen; }
};

inline size_t strip_columns(const InvertedResidualArgs& args) {
    const size_t width = args.out_width();
    if (args.expand == nullptr) {
        return width;
    }
    const size_t per_column = (args.kernel * args.stride + 1) * ring_ld(args.hidden);
    // Narrower strips expand more columns twice.
    const size_t most = larger(kSecondCacheFloats / 4 * 3 / per_column, 16);
    return divide_up(width, divide_up(width, most));
}

size_t inverted_residual_scratch_size(const InvertedResidualArgs& args) {
    const ColumnStrip strip(args, 0, strip_columns(args));
    const size_t filtered = strip.columns * strip.hidden_ld;
    return args.expand == nullptr ? filtered : args.kernel * strip.ring_row() + filtered;
}

void zero_borders(const InvertedResidualArgs& args, const ColumnStrip& strip, float* ring) {
    for (size_t slot = 0; slot < args.kernel; ++slot) {
        float* row = ring + slot * strip.ring_row();
        for (size_t i = 0; i < strip.outside_left * strip.hidden_ld; ++i) {
            row[i] = 0.0f;
        }
        for (size_t i = strip.ring_row() - strip.outside_right() * strip.hidden_ld; i < strip.ring_row();
             ++i) {
            row[i] = 0.0f;
        }
    }
}

inline void expand_row(const InvertedResidualArgs& args, const ColumnStrip& strip, size_t row, float* ring) {
    GemmArgs gemm;
    gemm.a = args.input + (args.input_ring.slot(row) * args.width + strip.first) * args.input_ld;
    gemm.lda = args.input_ld;
    gemm.packed = args.expand;
    gemm.c = ring + row % args.kernel * strip.ring_row() + strip.outside_left * strip.hidden_ld;
    gemm.ldc = strip.hidden_ld;
    gemm.m = strip.seen;
    gemm.n = args.hidden;
    gemm.k = args.in_channels;
    gemm.epilogue = {args.expand_bias, args.activation, nullptr, 0};
    gemm_run(gemm, 0, gemm.m);
}

inline void project_row(const InvertedResidualArgs& args, const ColumnStrip& strip, size_t y,
                        const float* filtered) {
    const size_t pixel = args.output_ring.slot(y) * args.out_width() + strip.x;
    GemmArgs gemm;
    gemm.a = filtered;
    gemm.lda = strip.hidden_ld;
    gemm.packed = args.project;
    gemm.c = args.output + pixel * args.output_ld;
    gemm.ldc = args.output_ld;
    gemm.m = strip.columns;
    gemm.n = args.out_channels;
    gemm.k = args.hidden;
    gemm.epilogue = args.epilogue;
    if (gemm.epilogue.residual != nullptr) {
        const size_t beside = args.input_ring.slot(y) * args.out_width() + strip.x;
        gemm.epilogue.residual += beside * gemm.epilogue.residual_ld;
    }
    gemm_run(gemm, 0, gemm.m);
}

/// The depthwise part as a problem of its own that writes row 0 of `filtered`.
inline DepthwiseArgs filter_args(const InvertedResidualArgs& args, const ColumnStrip& strip,
                                 float* filtered) {
    DepthwiseArgs depthwise;
    depthwise.packed = args.depthwise;
    depthwise.output = filtered;
    depthwise.output_ld = strip.hidden_ld;
    depthwise.height = args.height;
    depthwise.channels = args.hidden;
    depthwise.kernel = args.kernel;
    depthwise.stride = args.stride;
    depthwise.epilogue = {args.depthwise_bias, args.activation, nullptr, 0};
    return depthwise;
}

/// The end of the input rows that output row y sees.
inline size_t rows_seen(const InvertedResidualArgs& args, size_t y) {
    return smaller(args.height, y * args.stride + args.kernel - args.kernel / 2);
}

void run_strip(const InvertedResidualArgs& args, const ColumnStrip& strip, size_t begin, size_t end,
               float* ring) {
    float* filtered = ring + args.kernel * strip.ring_row();
    DepthwiseArgs depthwise = filter_args(args, strip, filtered);
    const size_t pad = args.kernel / 2;
    depthwise.input = ring + pad * strip.hidden_ld;  // the kernel's left half reaches back over these columns
    depthwise.input_ld = strip.hidden_ld;
    depthwise.width = strip.ring_columns;
    const VecEpilogue finish(depthwise.epilogue);
    size_t next;  // row to expand
    if (args.resumes) {
        next = rows_seen(args, begin - 1);
    } else {
        next = begin * args.stride < pad ? 0 : begin * args.stride - pad;
        zero_borders(args, strip, ring);
    }
    for (size_t y = begin; y < end; ++y) {
        for (; next < rows_seen(args, y); ++next) {
            expand_row(args, strip, next, ring);
        }
        inner_row_of(depthwise, finish, RowWindow(depthwise, y, {args.kernel}), 0,
                     Interior(0, strip.columns));
        project_row(args, strip, y, filtered);
    }
}

/// Without expansion the input itself is filtered.
void run_unexpanded(const InvertedResidualArgs& args, size_t begin, size_t end, float* filtered) {
    const ColumnStrip strip(args, 0, args.out_width());
    DepthwiseArgs depthwise = filter_args(args, strip, filtered);
    depthwise.input = args.input;
    depthwise.input_ld = args.input_ld;
    depthwise.width = args.width;
    const VecEpilogue finish(depthwise.epilogue);
    const Interior interior(depthwise);
    for (size_t y = begin; y < end; ++y) {
        depthwise_row(depthwise, finish, interior, RowWindow(depthwise, y, args.input_ring), 0);
        project_row(args, strip, y, filtered);
    }
}

void inverted_residual_run(const InvertedResidualArgs& args, size_t begin, size_t end, float* scratch) {
    if (args.expand == nullptr) {
        return run_unexpanded(args, begin, end, scratch);
    }
    const size_t width = args.out_width(), step = strip_columns(args);
    for (size_t x = 0; x < width; x += step) {
        run_strip(args, ColumnStrip(args, x, smaller(step, width - x)), begin, end, scratch);
    }
}

bool inverted_residual_runs_on(const InvertedResidualArgs& args) {
    // Narrow maps have columns at both borders at once, whose windows are not looked up row by row.
    return strip_columns(args) == args.out_width() && args.width >= 2 * args.kernel;
}

constexpr InvertedResidualKernels kInvertedResidual = {inverted_residual_scratch_size, inverted_residual_run,
                                                       inverted_residual_runs_on};

}  // namespace
}  // namespace mobileinst
