#pragma once

#include <cstddef>

#include "core/activation.h"
#include "core/dtype.h"
#include "core/tier.h"

namespace mobileinst {

/// One product C[m,n] = epilogue(A[m,k] * W[n,k]^T). Rows of A are pixels or tokens, not packed.
/// C must not overlap A; the residual may be C itself.
struct GemmArgs {
    const float* a = nullptr;
    size_t lda = 0;                 ///< floats from one row of A to the next, >= k
    const float* packed = nullptr;  ///< weights, from pack()
    float* c = nullptr;
    size_t ldc = 0;              ///< >= n
    size_t m = 0, n = 0, k = 0;  ///< each >= 1
    Epilogue epilogue;
};

/// Single precision matrix product of one tier: 1x1 convolutions and linear layers.
struct GemmKernels {
    /// Floats that pack() writes for weights (n,k). The layout belongs to the tier.
    size_t (*packed_size)(size_t n, size_t k);
    /// Packs row-major weights (n,k), rows `ldw` floats apart. `packed` should be 64-byte aligned.
    void (*pack)(const float* weight, size_t ldw, size_t n, size_t k, float* packed);
    /// Computes rows [begin, end) of C. Any split of [0, m) gives the same bits; ranges of many rows, begun
    /// at multiples of `row_tile`, are fastest. Needs no scratch.
    void (*run)(const GemmArgs& args, size_t begin, size_t end);
    size_t row_tile;
};

/// The kernels of a tier; throws std::invalid_argument if this build lacks them.
const GemmKernels& gemm_kernels(Tier tier, DType dtype = DType::Float32);

}  // namespace mobileinst
