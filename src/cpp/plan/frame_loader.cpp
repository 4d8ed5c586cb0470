#include "plan/frame_loader.h"

#include <algorithm>
#include <cmath>

namespace mobileinst {

void FrameLoader::load(ThreadPool& pool, PreprocessArgs args, const Tensor& input) {
    const PreprocessKernels& kernels = kernels_of(tier_, &KernelTable::preprocess, input.dtype);
    args.output = input;
    if (frame_width_ != args.frame_width || columns_.size() != input.width) {
        columns_.resize(input.width);
        for (size_t x = 0; x < input.width; ++x) {
            columns_[x] = linear_tap(x, args.frame_width, input.width);
        }
        frame_width_ = args.frame_width;
    }
    args.columns = columns_.data();
    const size_t stride = whole_cache_lines(kernels.scratch_size(args));
    if (scratch_.size() < stride * pool.threads()) {
        scratch_ = AlignedBuffer(stride * pool.threads());
    }
    pool.run(input.height, 1, pool.ranges(2), [&](size_t begin, size_t end, size_t thread) {
        kernels.run(args, begin, end, static_cast<char*>(scratch_.data()) + thread * stride);
    });
}

void FrameLoader::load_planes(const float* planes, const PreprocessArgs& normalisation, const Tensor& input) {
    auto* to = static_cast<int8_t*>(input.data);
    const size_t pixels = input.pixels();
    for (size_t i = 0; i < pixels; ++i) {
        for (size_t c = 0; c < 3; ++c) {
            const float value =
                planes[c * pixels + i] / normalisation.inverse_std[c] + normalisation.mean[c] - 128.0f;
            const float limited = std::min(std::max(value, -128.0f), 127.0f);
            to[i * 3 + c] = static_cast<int8_t>(std::nearbyint(limited));
        }
    }
}

}  // namespace mobileinst
