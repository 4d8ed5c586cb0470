#include "kernels/transpose/transpose.h"

namespace mobileinst {
namespace {

void transpose(const TransposeArgs& args) {
    for (size_t column = 0; column < args.columns; ++column) {
        for (size_t row = 0; row < args.rows; ++row) {
            args.output[column * args.output_ld + row] = args.input[row * args.input_ld + column];
        }
    }
}

}  // namespace

const TransposeKernels transpose_f32_ref = {transpose};

}  // namespace mobileinst
