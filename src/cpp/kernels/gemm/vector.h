#pragma once

#include "kernels/gemm/gemm.h"
#include "kernels/gemm/panel.h"

namespace mobileinst {
namespace {

inline void gemm_pack(const float* weight, size_t ldw, size_t n, size_t k, float* packed) {
    for (size_t first = 0; first < n; first += kPanelColumns) {
        const size_t columns = panel_columns(n, first);
        for (size_t i = 0; i < k; ++i) {
            for (size_t j = 0; j < columns; ++j) {
                *packed++ = first + j < n ? weight[(first + j) * ldw + i] : 0.0f;
            }
        }
    }
}

void gemm_run(const GemmArgs& args, size_t begin, size_t end) {
    const VecEpilogue finish(args.epilogue);
    // A panel of W stays in the first cache while rows of A, few enough to stay in the second, pass by.
    const size_t block = larger(kRowTile, kSecondCacheFloats / 4 / (args.k + args.n) / kRowTile * kRowTile);
    for (size_t row = begin; row < end; row += block) {
        const size_t rows = smaller(block, end - row);
        for (size_t column = 0; column < args.n; column += kPanelColumns) {
            float* c = args.c + row * args.ldc + column;
            gemm_panel(args.a + row * args.lda, args.lda, rows, args.packed + column * args.k,
                       panel_columns(args.n, column) / Vec<float>::kWidth, args.k,
                       EpilogueRows{&finish, c, args.ldc, row, column, args.n - column});
        }
    }
}

constexpr GemmKernels kGemm = {gemm_packed_size, gemm_pack, gemm_run, kRowTile};

}  // namespace
}  // namespace mobileinst
