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

/// InvertedResidualArgs of elements.
struct Block {
    Map<const Element> input;
    Map<Element> output;
    size_t hidden, kernel, stride;
    const Element *expand, *depthwise, *project;
    RowRing input_ring, output_ring;
    bool resumes;

    explicit Block(const InvertedResidualArgs& args)
        : input(args.input),
          output(args.output),
          hidden(args.hidden),
          kernel(args.kernel),
          stride(args.stride),
          expand(static_cast<const Element*>(args.expand)),
          depthwise(static_cast<const Element*>(args.depthwise)),
          project(static_cast<const Element*>(args.project)),
          input_ring(args.input_ring),
          output_ring(args.output_ring),
          resumes(args.resumes) {}
};

/// The epilogues of its three convolutions.
struct BlockEpilogues {
    VecEpilogue expand, depthwise, project;

    explicit BlockEpilogues(const InvertedResidualArgs& args)
        : expand({args.expand_bias, args.activation, {}}),
          depthwise({args.depthwise_bias, args.activation, {}}),
          project(args.epilogue) {}
};

/// Elements from one column of the ring to the next: not many times a cache line's, where neighbouring
/// columns would share few of the first-level cache's sets.
inline size_t ring_ld(size_t hidden) {
    constexpr size_t kLine = 64 / sizeof(Element);
    const size_t ld = round_up(hidden, Vec<Element>::kWidth);
    return ld % (8 * kLine) == 0 ? ld + kLine : ld;
}

/// Outputs [x, x + columns) of every row, and the input columns that they see.
struct ColumnStrip {
    size_t x, columns;
    size_t ring_columns;               // seen, columns outside the image included
    size_t outside_left, first, seen;  // columns left of the image; first column in it and how many
    size_t hidden_ld;

    ColumnStrip(const Block& args, size_t x_, size_t columns_)
        : x(x_), columns(columns_), hidden_ld(ring_ld(args.hidden)) {
        const size_t pad = args.kernel / 2, left = x * args.stride;
        ring_columns = (columns - 1) * args.stride + args.kernel;
        outside_left = left < pad ? pad - left : 0;
        first = left + outside_left - pad;
        seen = smaller(args.input.width, left + ring_columns - pad) - first;
    }

    size_t ring_row() const { return ring_columns * hidden_ld; }
    size_t outside_right() const { return ring_columns - outside_left - seen; }
};

inline size_t strip_columns(const Block& args) {
    const size_t width = args.output.width;
    if (args.expand == nullptr) {
        return width;
    }
    const size_t per_column = (args.kernel * args.stride + 1) * ring_ld(args.hidden);
    // Narrower strips expand more columns twice.
    const size_t most = larger(kSecondCacheElements / 4 * 3 / per_column, 16);
    return divide_up(width, divide_up(width, most));
}

size_t inverted_residual_scratch_size(const InvertedResidualArgs& args_) {
    const Block args(args_);
    const ColumnStrip strip(args, 0, strip_columns(args));
    const size_t filtered = strip.columns * strip.hidden_ld;
    const size_t ring = args.expand == nullptr ? 0 : args.kernel * strip.ring_row();
    return (ring + filtered) * sizeof(Element);
}

void zero_borders(const Block& args, const ColumnStrip& strip, Element* ring) {
    for (size_t slot = 0; slot < args.kernel; ++slot) {
        Element* row = ring + slot * strip.ring_row();
        for (size_t i = 0; i < strip.outside_left * strip.hidden_ld; ++i) {
            row[i] = Element{};
        }
        for (size_t i = strip.ring_row() - strip.outside_right() * strip.hidden_ld; i < strip.ring_row();
             ++i) {
            row[i] = Element{};
        }
    }
}

inline void expand_row(const Block& args, const ColumnStrip& strip, const VecEpilogue& epilogue, size_t row,
                       Element* ring) {
    Map<const Element> from = args.input;
    from.data = args.input.pixel(args.input_ring.slot(row) * args.input.width + strip.first);
    Map<Element> to;
    to.data = ring + row % args.kernel * strip.ring_row() + strip.outside_left * strip.hidden_ld;
    to.ld = strip.hidden_ld;
    to.channels = args.hidden;
    gemm_rows(from, args.expand, to, epilogue, 0, strip.seen);
}

inline void project_row(const Block& args, const ColumnStrip& strip, const VecEpilogue& epilogue, size_t y,
                        const Element* filtered) {
    Map<const Element> from;
    from.data = filtered;
    from.ld = strip.hidden_ld;
    from.channels = args.hidden;
    Map<Element> to = args.output;
    to.data = args.output.pixel(args.output_ring.slot(y) * args.output.width + strip.x);
    VecEpilogue row_epilogue = epilogue;
    if (epilogue.residual != nullptr) {
        const size_t beside = args.input_ring.slot(y) * args.output.width + strip.x;
        row_epilogue.residual += beside * epilogue.residual_ld;
    }
    gemm_rows(from, args.project, to, row_epilogue, 0, strip.columns);
}

/// The depthwise part as a problem of its own that writes row 0 of `filtered`.
inline ConvView<Element> filter_args(const Block& args, const ColumnStrip& strip, Element* filtered) {
    ConvView<Element> depthwise;
    depthwise.packed = args.depthwise;
    depthwise.output.data = filtered;
    depthwise.output.ld = strip.hidden_ld;
    depthwise.output.channels = args.hidden;
    depthwise.input.height = args.input.height;
    depthwise.input.channels = args.hidden;
    depthwise.kernel = args.kernel;
    depthwise.stride = args.stride;
    return depthwise;
}

/// The end of the input rows that output row y sees.
inline size_t rows_seen(const Block& args, size_t y) {
    return smaller(args.input.height, y * args.stride + args.kernel - args.kernel / 2);
}

void run_strip(const Block& args, const BlockEpilogues& epilogues, const ColumnStrip& strip, size_t begin,
               size_t end, Element* ring) {
    Element* filtered = ring + args.kernel * strip.ring_row();
    ConvView<Element> depthwise = filter_args(args, strip, filtered);
    const size_t pad = args.kernel / 2;
    depthwise.input.data =
        ring + pad * strip.hidden_ld;  // the kernel's left half reaches back over these columns
    depthwise.input.ld = strip.hidden_ld;
    depthwise.input.width = strip.ring_columns;
    depthwise.output.width = (strip.ring_columns - 1) / args.stride + 1;
    size_t next;  // row to expand
    if (args.resumes) {
        next = rows_seen(args, begin - 1);
    } else {
        next = begin * args.stride < pad ? 0 : begin * args.stride - pad;
        zero_borders(args, strip, ring);
    }
    for (size_t y = begin; y < end; ++y) {
        for (; next < rows_seen(args, y); ++next) {
            expand_row(args, strip, epilogues.expand, next, ring);
        }
        inner_row_of(depthwise, epilogues.depthwise, RowWindow(depthwise, y, {args.kernel}), 0,
                     Interior(0, strip.columns));
        project_row(args, strip, epilogues.project, y, filtered);
    }
}

/// Without expansion the input itself is filtered.
void run_unexpanded(const Block& args, const BlockEpilogues& epilogues, size_t begin, size_t end,
                    Element* filtered) {
    const ColumnStrip strip(args, 0, args.output.width);
    ConvView<Element> depthwise = filter_args(args, strip, filtered);
    depthwise.input = args.input;
    depthwise.output.width = args.output.width;
    const Interior interior(depthwise);
    for (size_t y = begin; y < end; ++y) {
        depthwise_row(depthwise, epilogues.depthwise, interior, RowWindow(depthwise, y, args.input_ring), 0);
        project_row(args, strip, epilogues.project, y, filtered);
    }
}

void inverted_residual_run(const InvertedResidualArgs& args_, size_t begin, size_t end, void* memory) {
    const Block args(args_);
    const BlockEpilogues epilogues(args_);
    Element* scratch = static_cast<Element*>(memory);
    if (args.expand == nullptr) {
        return run_unexpanded(args, epilogues, begin, end, scratch);
    }
    const size_t width = args.output.width, step = strip_columns(args);
    for (size_t x = 0; x < width; x += step) {
        run_strip(args, epilogues, ColumnStrip(args, x, smaller(step, width - x)), begin, end, scratch);
    }
}

bool inverted_residual_runs_on(const InvertedResidualArgs& args_) {
    const Block args(args_);
    // Narrow maps have columns at both borders at once, whose windows are not looked up row by row.
    return strip_columns(args) == args.output.width && args.input.width >= 2 * args.kernel;
}

constexpr InvertedResidualKernels kInvertedResidual = {inverted_residual_scratch_size, inverted_residual_run,
                                                       inverted_residual_runs_on};

}  // namespace
}  // namespace mobileinst
