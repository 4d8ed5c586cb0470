#pragma once

#include "kernels/transpose/transpose.h"

namespace mobileinst {
namespace {

void transpose_transpose_ref(const TransposeArgs& args) {
    for (size_t column = 0; column < args.columns; ++column) {
        for (size_t row = 0; row < args.rows; ++row) {
            args.output[column * args.output_ld + row] = args.input[row * args.input_ld + column];
        }
    }
}

constexpr TransposeKernels kTransposeRef = {transpose_transpose_ref};

}  // namespace
}  // namespace mobileinst
