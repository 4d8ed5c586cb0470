#pragma once

#include "kernels/transpose/transpose.h"

namespace mobileinst {
namespace {

void transpose_transpose_ref(const TransposeArgs& args) {
    const Map<const float> input(args.input);
    const Map<float> output(args.output);
    for (size_t column = 0; column < input.channels; ++column) {
        for (size_t row = 0; row < input.pixels(); ++row) {
            output.pixel(column)[row] = input.pixel(row)[column];
        }
    }
}

constexpr TransposeKernels kTransposeRef = {transpose_transpose_ref};

}  // namespace
}  // namespace mobileinst
