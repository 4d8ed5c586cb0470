#include "plan/frame_loader.h"

#include <algorithm>
#include <cstring>

namespace mobileinst {
namespace {

/// The nearest whole number in [-128, 127], of two the even one, by a sum whose last bit is worth 1.
inline int8_t rounded(float x) {
    x = x > -128.0f ? x : -128.0f;
    x = x < 127.0f ? x : 127.0f;
    const float shifted = x + 12582912.0f;
    int32_t bits;
    std::memcpy(&bits, &shifted, sizeof(bits));
    return static_cast<int8_t>(bits - 0x4b400000);
}

}  // namespace

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
    constexpr size_t kBlock = 256;  // as planes first, which compilers make vectors of
    int8_t bytes[3][kBlock];
    auto* to = static_cast<int8_t*>(input.data);
    const size_t pixels = input.pixels();
    for (size_t first = 0; first < pixels; first += kBlock) {
        const size_t count = std::min(kBlock, pixels - first);
        for (size_t c = 0; c < 3; ++c) {
            const float mean = normalisation.mean[c], inverse_std = normalisation.inverse_std[c];
            for (size_t i = 0; i < count; ++i) {
                bytes[c][i] = rounded(planes[c * pixels + first + i] / inverse_std + mean - 128.0f);
            }
        }
        for (size_t i = 0; i < count; ++i, to += 3) {
            to[0] = bytes[0][i];
            to[1] = bytes[1][i];
            to[2] = bytes[2][i];
        }
    }
}

}  // namespace mobileinst
