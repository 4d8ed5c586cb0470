#include "plan/mask_head.h"

#include "kernels/gemm/gemm.h"
#include "kernels/mask_product/mask_product.h"

namespace mobileinst {
namespace {

void grow(AlignedBuffer* buffer, size_t floats) {
    if (buffer->size() < floats) {
        *buffer = AlignedBuffer(floats);
    }
}

}  // namespace

void MaskHead::run(ThreadPool& pool, const Tensor& map, const MaskKernels& kernels, float* output) {
    MaskProductArgs args;
    args.features = map.data;
    args.features_ld = map.ld;
    args.output = output;
    args.pixels = map.pixels();
    args.channels = map.channels;
    args.kernels = kernels.count;
    const float* values = kernels.values;
    size_t ld = kernels.channels;
    if (kernels.projection != nullptr) {
        project(kernels, map.channels);
        values = projected_.data();
        ld = map.channels + 1;
        args.bias = bias_.data();
    }
    grow(&packed_, mask_product_packed_size(tier_, args.kernels, args.channels));
    mask_product_pack(tier_, values, ld, args.kernels, args.channels, packed_.data());
    args.packed = packed_.data();
    const size_t stride = whole_cache_lines(mask_product_scratch_size(args.kernels));
    grow(&scratch_, stride * pool.threads());
    pool.run(args.pixels, 96, pool.ranges(2), [&](size_t begin, size_t end, size_t thread) {
        mask_product(tier_, args, begin, end, scratch_.data() + thread * stride);
    });
}

/// Products with W^T and b: rows of `channels` values and the bias.
void MaskHead::project(const MaskKernels& kernels, size_t channels) {
    const GemmKernels& gemm = gemm_kernels(tier_);
    GemmArgs args;
    args.m = kernels.count;
    args.n = args.ldc = channels + 1;
    args.k = args.lda = kernels.channels;
    grow(&packed_, gemm.packed_size(args.n, args.k));
    grow(&projected_, args.m * args.n);
    grow(&bias_, args.m);
    gemm.pack(kernels.projection, args.k, args.n, args.k, packed_.data());
    args.a = kernels.values;
    args.packed = packed_.data();
    args.c = projected_.data();
    gemm.run(args, 0, args.m);
    for (size_t i = 0; i < args.m; ++i) {
        bias_.data()[i] = projected_.data()[i * args.n + channels];
    }
}

}  // namespace mobileinst
