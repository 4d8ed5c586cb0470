#pragma once

// Transposition by squares of as many rows and columns as a vector has floats.

#include "kernels/transpose/transpose.h"
#include "simd/vec.h"

namespace mobileinst {
namespace {

constexpr size_t kRowsTogether =
    32;  // so that whole cache lines of output are written, and rows stay in cache

/// TransposeArgs of floats.
struct TransposeView {
    Map<const float> input;
    Map<float> output;

    explicit TransposeView(const TransposeArgs& args) : input(args.input), output(args.output) {}

    size_t rows() const { return input.pixels(); }
    size_t columns() const { return input.channels; }
};

/// Rows [begin, end) of some columns, one by one.
inline void transpose_singly(const TransposeView& args, size_t begin, size_t end, size_t column,
                             size_t columns_end) {
    for (; column < columns_end; ++column) {
        for (size_t row = begin; row < end; ++row) {
            args.output.pixel(column)[row] = args.input.pixel(row)[column];
        }
    }
}

/// Square::transpose() transposes one square.
template <typename Square>
void transpose_by(const TransposeView& args) {
    const size_t input_ld = args.input.ld, output_ld = args.output.ld;
    const size_t squares_end = args.columns() / Vec<float>::kWidth * Vec<float>::kWidth;
    for (size_t first = 0; first < args.rows(); first += kRowsTogether) {
        const size_t left = args.rows() - first, end = first + (left < kRowsTogether ? left : kRowsTogether);
        const size_t whole = first + (end - first) / Vec<float>::kWidth * Vec<float>::kWidth;
        for (size_t column = 0; column < squares_end; column += Vec<float>::kWidth) {
            const float* from = args.input.data + first * input_ld + column;
            float* to = args.output.data + column * output_ld + first;
            for (size_t row = first; row < whole; row += Vec<float>::kWidth) {
                Square::transpose(from, input_ld, to, output_ld);
                from += Vec<float>::kWidth * input_ld;
                to += Vec<float>::kWidth;
            }
            transpose_singly(args, whole, end, column, column + Vec<float>::kWidth);
        }
        transpose_singly(args, first, end, squares_end, args.columns());
    }
}

}  // namespace
}  // namespace mobileinst
