#pragma once

#include <algorithm>

#include "kernels/epilogue_ref.h"
#include "kernels/gemm/gemm.h"

namespace mobileinst {
namespace {

size_t gemm_packed_size_ref(size_t n, size_t k) { return n * k; }

void gemm_pack_ref(const float* weight, size_t ldw, size_t n, size_t k, float* packed) {
    for (size_t row = 0; row < n; ++row) {
        std::copy_n(weight + row * ldw, k, packed + row * k);
    }
}

void gemm_run_ref(const GemmArgs& args, size_t begin, size_t end) {
    for (size_t row = begin; row < end; ++row) {
        for (size_t col = 0; col < args.n; ++col) {
            const float* a = args.a + row * args.lda;
            const float* w = args.packed + col * args.k;
            double sum = 0.0;
            for (size_t i = 0; i < args.k; ++i) {
                sum += static_cast<double>(a[i]) * w[i];
            }
            args.c[row * args.ldc + col] = apply_epilogue(sum, args.epilogue, row, col);
        }
    }
}

constexpr GemmKernels kGemmRef = {gemm_packed_size_ref, gemm_pack_ref, gemm_run_ref, 1};

}  // namespace
}  // namespace mobileinst
