#include "plan/mask_head.h"

#include <algorithm>

#include "kernels/convolution/convolution.h"
#include "kernels/kernel_table.h"
#include "masks/mask_product/mask_product.h"

namespace mobileinst {
namespace {

void grow(AlignedBuffer* buffer, size_t bytes) {
    if (buffer->size() < bytes) {
        *buffer = AlignedBuffer(bytes);
    }
}

}  // namespace

void MaskHead::run(ThreadPool& pool, const Tensor& map, const MaskKernels& kernels, float* output) {
    MaskProductArgs args;
    args.features = map;
    args.output = float_matrix(output, kernels.count, map.pixels());
    const float* values = kernels.values;
    if (kernels.projection != nullptr) {
        project(kernels, map.channels);
        values = projected_.floats();
        args.bias = bias_.floats();
    }
    grow(&packed_, mask_product_packed_size(tier_, kernels.count, map.channels));
    mask_product_pack(tier_, values, kernels.count, map.channels, packed_.data());
    args.packed = packed_.data();
    const size_t stride = whole_cache_lines(mask_product_scratch_size(kernels.count));
    grow(&scratch_, stride * pool.threads());
    pool.run(map.pixels(), 96, pool.ranges(2), [&](size_t begin, size_t end, size_t thread) {
        mask_product(tier_, args, begin, end, static_cast<char*>(scratch_.data()) + thread * stride);
    });
}

/// Products with W^T and b.
void MaskHead::project(const MaskKernels& kernels, size_t channels) {
    const ConvKernels& gemm = kernels_of(tier_, &KernelTable::gemm);
    const ConvSpec spec{kernels.channels, channels + 1, 1, 1, 1};
    grow(&packed_, gemm.packed_size(spec));
    grow(&projected_, kernels.count * spec.out_channels * sizeof(float));
    grow(&bias_, kernels.count * sizeof(float));
    gemm.pack(spec, kernels.projection, packed_.data());
    ConvArgs args;
    args.input = float_matrix(kernels.values, kernels.count, kernels.channels);
    args.packed = packed_.data();
    args.output = float_matrix(projected_.floats(), kernels.count, spec.out_channels);
    gemm.run(args, 0, kernels.count, nullptr);
    for (size_t i = 0; i < kernels.count; ++i) {  // the last column apart
        const float* row = projected_.floats() + i * spec.out_channels;
        bias_.floats()[i] = row[channels];
        std::copy_n(row, channels, projected_.floats() + i * channels);
    }
}

}  // namespace mobileinst
