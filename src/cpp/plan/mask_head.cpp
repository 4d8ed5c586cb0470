#include "plan/mask_head.h"

#include "kernels/mask_product/mask_product.h"

namespace mobileinst {
namespace {

void grow(AlignedBuffer* buffer, size_t floats) {
    if (buffer->size() < floats) {
        *buffer = AlignedBuffer(floats);
    }
}

}  // namespace

void MaskHead::run(ThreadPool& pool, const Tensor& features, const float* kernels, size_t count,
                   float* output) {
    grow(&packed_, mask_product_packed_size(tier_, count, features.channels));
    const size_t stride = (mask_product_scratch_size(count) + 15) / 16 * 16;
    grow(&scratch_, stride * pool.threads());
    mask_product_pack(tier_, kernels, count, features.channels, packed_.data());
    MaskProductArgs args;
    args.features = features.data;
    args.features_ld = features.ld;
    args.packed = packed_.data();
    args.output = output;
    args.pixels = features.pixels();
    args.channels = features.channels;
    args.kernels = count;
    pool.run(args.pixels, 96, pool.threads() * 2, [&](size_t begin, size_t end, size_t thread) {
        mask_product(tier_, args, begin, end, scratch_.data() + thread * stride);
    });
}

}  // namespace mobileinst
