#pragma once

#include "kernels/preprocess/preprocess.h"

namespace mobileinst {
namespace {

size_t preprocess_scratch_size_ref(const PreprocessArgs& /*args*/) { return 0; }

void preprocess_run_ref(const PreprocessArgs& args, size_t begin, size_t end, void* /*scratch*/) {
    for (size_t row = begin; row < end; ++row) {
        const LinearTap y = linear_tap(row, args.frame_height, args.output.height);
        for (size_t column = 0; column < args.output.width; ++column) {
            const LinearTap x = args.columns[column];
            for (size_t c = 0; c < 3; ++c) {
                const size_t source = args.bgr ? 2 - c : c;
                const auto at = [&](size_t i, size_t j) -> double {
                    return args.frame[(i * args.frame_width + j) * 3 + source];
                };
                const double left = at(y.low, x.low) + (at(y.high, x.low) - at(y.low, x.low)) * y.weight;
                const double right = at(y.low, x.high) + (at(y.high, x.high) - at(y.low, x.high)) * y.weight;
                const double value = left + (right - left) * x.weight;
                static_cast<float*>(args.output.data)[(row * args.output.width + column) * 3 + c] =
                    static_cast<float>((value - args.mean[c]) * args.inverse_std[c]);
            }
        }
    }
}

constexpr PreprocessKernels kPreprocessRef = {preprocess_scratch_size_ref, preprocess_run_ref};

}  // namespace
}  // namespace mobileinst
